// A service that returns its name, and calls another one: node --require detour-mesh/register service.js NAME PORT [SERVICE]
// The code does not know about overrides: the SDK propagates them with `fetch`, and sends calls through the sidecar.

const http = require("node:http");

const [, , name, port, called] = process.argv;

async function answer() {
  if (!called) return [200, name];
  const next = await fetch(`http://${called}/`);
  // An error of the other service is also an error here, such as Detour's 503 for a deployment that does not exist.
  return [next.status, `${name} > ${(await next.text()).trim()}`];
}

http
  .createServer((_request, response) => {
    answer().then(
      ([status, text]) => response.writeHead(status).end(`${text}\n`),
      (error) => response.writeHead(502).end(`${called} cannot be reached: ${error.cause ?? error}\n`),
    );
  })
  .listen(Number(port), "127.0.0.1");
