/**
 * Takes the place of @ctrl/tinycolor, 6 kB gzipped that Element Plus needs only for a button's `color` property, which
 * the shop's buttons do not have: their colours come from the theme.
 */
export function TinyColor(): never {
  throw new Error(
    'A button with a colour of its own: take the alias of @ctrl/tinycolor out of vite.config.ts',
  )
}
