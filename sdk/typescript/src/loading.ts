/**
 * Acting when a service loads a package, by `require` or by `import`, and on those that are loaded already.
 *
 * This meets CommonJS files as Node loads them. What a bundler has put into the service's own file, and packages that
 * are ES modules throughout, it never sees.
 */

import Module from "node:module";

/** What is told of each file that is loaded: its package, its path, and what it exports. */
type OnLoad = (name: string, path: string, exports: unknown) => void;

const IN_PACKAGE = /^.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/s;

/** Has a function called for each file of a package, loaded and to be loaded. */
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
