/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** `on`: operations are sent by their hash alone; anything else: as text. See README, Trusted documents. */
  readonly VITE_TRUSTED_DOCUMENTS?: string
  /** Where a bought course is taken, with `{id}` for the course: "https://learn.example.com/courses/{id}". */
  readonly VITE_CLASSROOM_URL?: string
}
