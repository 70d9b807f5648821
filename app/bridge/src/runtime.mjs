/** What this runs in. */
export function runtime() {
  const { bun, node } = process.versions;
  return bun ? { runtime: 'bun', version: bun } : { runtime: 'node', version: node };
}
