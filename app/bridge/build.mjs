// Builds src/main.mjs and everything it needs into one file that Bun and Node (22.13 or later) both run.
//   bun build.mjs ENTRY OUTPUT MODULES
// MODULES gets the names of the files that went in, as JSON.
// The "bun" condition picks the SDK's flat build; its other one loads chunks by name at run time and cannot be
// bundled. That build takes two things only Bun has: bun:sqlite, replaced by a stub because the bridge keeps its
// state in memory (src/store.mjs), and import.meta.require, replaced by its portable spelling.
// The first line tells Bun that there is nothing left to translate: half the time of a first start, and no copy of it
// all in the bridge's home.
const FLAT_SDK = /[\\/]@cursor[\\/]sdk[\\/]dist[\\/]bundled[\\/]index\.js$/;
const BUN_REQUIRE = 'import.meta.require';
const REQUIRE = 'createRequire(import.meta.url)';
const IMPORT = 'import { createRequire } from "node:module";\n';
const STUB = `export class Database {
  constructor() { throw new Error('the bridge has no SQLite'); }
}`;

function replaceOnce(text, from, to) {
  if (text.split(from).length !== 2) throw new Error(`the SDK has ${from} not exactly once: look at build.mjs`);
  return text.replace(from, to);
}

const portable = {
  name: 'portable',
  setup(build) {
    build.onResolve({ filter: /^bun:sqlite$/ }, () => ({ path: 'sqlite', namespace: 'absent' }));
    build.onLoad({ filter: /./, namespace: 'absent' }, () => ({ contents: STUB, loader: 'js' }));
    build.onLoad({ filter: FLAT_SDK }, async ({ path }) => ({
      contents: IMPORT + replaceOnce(await Bun.file(path).text(), BUN_REQUIRE, REQUIRE),
      loader: 'js',
    }));
  },
};

const [entry, output, modules] = process.argv.slice(2);
const built = await Bun.build({
  entrypoints: [entry],
  target: 'node',
  format: 'esm',
  conditions: ['bun'],
  minify: true,
  banner: '// @bun',
  metafile: true,
  plugins: [portable],
});
if (!built.success || built.outputs.length !== 1) {
  for (const message of built.logs) console.error(String(message));
  process.exit(1);
}
await Bun.write(output, built.outputs[0]);
await Bun.write(modules, JSON.stringify(Object.keys(built.metafile.inputs)));
