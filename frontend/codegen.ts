import { createHash } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import type { CodegenConfig } from '@graphql-codegen/cli'
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset'

/** The key of a trusted document: SHA-256 of its text, in hex, as the persisted query protocol sends it. */
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/**
 * Types of the schema, typed documents of src/graphql, the cache's possible types, and the trusted documents.
 *
 * `__typename` is put into the documents here, not only by Apollo at run time: the text that the backend keeps under a
 * hash must ask for all that the cache needs.
 */
const config: CodegenConfig = {
  schema: ['../schema.graphql'],
  documents: ['src/graphql/*.graphql'],
  generates: {
    './src/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: sha256 } },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        scalars: { DateTime: 'string', Money: 'string', ID: 'string' },
      },
      documentTransforms: [addTypenameSelectionDocumentTransform],
      hooks: {
        afterOneFileWrite: (path: string) => {
          if (path.endsWith('persisted-documents.json')) copyFileSync(path, 'trusted-documents.json')
        },
      },
    },
    './src/gql/possible-types.ts': {
      plugins: ['fragment-matcher'],
      config: { useExplicitTyping: false },
    },
  },
}

export default config
