// A certified OpenID Connect issuer, for tests: whoever signs in is who they say, with the role that their name begins
// with. Each start has new keys.
//
//     node issuer.mjs CLIENT_ID [PORT]      prints its URL, and ends when its input does

import { createServer } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const [clientId, port = "0"] = process.argv.slice(2);
const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig" };
const server = createServer();
server.listen(Number(port), "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, {
    clients: [
      {
        client_id: clientId,
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        redirect_uris: ["http://127.0.0.1/"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub", "roles"], email: ["email", "email_verified"], profile: ["name"] },
    jwks: { keys: [key] },
    clientBasedCORS: () => true,
    conformIdTokenClaims: false,
    cookies: { keys: ["only for tests"] },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.test`, email_verified: true, roles: [id.split("-")[0]] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(url);
});
process.stdin.on("end", () => process.exit(0)).resume();
