// Builds src/main.mjs and everything it needs into one file that Bun and Node (22.13 or later) both run.
//   bun build.mjs ENTRY OUTPUT
// The "bun" condition picks the SDK's flat build; its other one loads chunks by name at run time and cannot be
// bundled. That build wants bun:sqlite, which Node has not: the bridge keeps its state in memory (src/store.mjs),
// so a stub takes its place.
const STUB = `export class Database {
  constructor() { throw new Error('the bridge has no SQLite'); }
}`;

const withoutSqlite = {
  name: 'without-sqlite',
  setup(build) {
    build.onResolve({ filter: /^bun:sqlite$/ }, () => ({ path: 'sqlite', namespace: 'absent' }));
    build.onLoad({ filter: /./, namespace: 'absent' }, () => ({ contents: STUB, loader: 'js' }));
  },
};

const [entry, output] = process.argv.slice(2);
const built = await Bun.build({
  entrypoints: [entry],
  target: 'node',
  format: 'esm',
  conditions: ['bun'],
  minify: true,
  plugins: [withoutSqlite],
});
if (!built.success || built.outputs.length !== 1) {
  for (const message of built.logs) console.error(String(message));
  process.exit(1);
}
await Bun.write(output, built.outputs[0]);
