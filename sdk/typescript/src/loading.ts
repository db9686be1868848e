/**
 * Calls a function when a service loads a package, by `require` or by `import`, and for packages already loaded.
 *
 * This covers CommonJS files that Node loads. Code that a bundler has put into the service's own file, and packages
 * that consist of ES modules only, are not covered.
 */

import Module from "node:module";

/** The arguments for each loaded file: its package, its path, and its exports. */
type OnLoad = (name: string, path: string, exports: unknown) => void;

const IN_PACKAGE = /^.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/s;

/** Calls a function for each file of a package, loaded now or later. */
export function onLoad(act: OnLoad): void {
  const met = (path: string, exports: unknown): void => {
    const name = IN_PACKAGE.exec(path)?.[1]?.replace("\\", "/");
    if (name) act(name, path, exports);
  };
  for (const [path, module] of Object.entries(require.cache)) {
    if (module?.loaded) met(path, module.exports);
  }
  const prototype = Module.prototype as unknown as { load(this: NodeModule, path: string): unknown };
  const { load } = prototype;
  prototype.load = function (path) {
    const result = load.call(this, path);
    met(path, this.exports);
    return result;
  };
}
