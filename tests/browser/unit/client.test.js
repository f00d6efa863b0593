/** The client against a real HTTP server of Node. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";

import { Client, withQuery } from "../../../apps/vertebra_landmarks/browser/api/client.js";
import { Credentials } from "../../../apps/vertebra_landmarks/browser/api/credentials.js";
import { errorOfStatus, ServerError } from "../../../apps/vertebra_landmarks/browser/api/errors.js";
import { NpyReader } from "../../../apps/vertebra_landmarks/browser/api/npy.js";

/** As the browser's storages. */
class MemoryStorage {
    values = new Map();
    getItem(name) { return this.values.get(name) ?? null; }
    setItem(name, value) { this.values.set(name, String(value)); }
    removeItem(name) { this.values.delete(name); }
}

let requests = [];
let answer = () => ({ status: 200, body: "{}" });
const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => { body += piece; });
    request.on("end", () => {
        const seen = { method: request.method, url: request.url, token: request.headers.authorization ?? "", body };
        requests.push(seen);
        const { status, body: content, headers = {}, never = false } = answer(seen);
        if (never) return;
        response.writeHead(status, headers);
        response.end(content);
    });
});
let client;

before(() => new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); }));
after(() => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }));
beforeEach(() => {
    requests = [];
    answer = () => ({ status: 200, body: "{}" });
    client = new Client(`http://127.0.0.1:${server.address().port}/sub/`, new Credentials(new MemoryStorage(), new MemoryStorage()));
});

/** A `.npy` file as NumPy writes it. */
function npy(descr, height, width, pixels) {
    const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${height}, ${width}), }`;
    const head = dictionary.padEnd(128 - 10 - 1) + "\n";
    const magic = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, head.length & 255, head.length >> 8]);
    return Buffer.concat([magic, Buffer.from(head, "latin1"), pixels]);
}

async function rejection(promise) {
    try {
        await promise;
    } catch (error) {
        assert.ok(error instanceof ServerError, String(error));
        return [error.kind, error.message];
    }
    return assert.fail("it did not reject");
}

test("a query leaves out what is empty and escapes the rest", () => {
    assert.equal(withQuery("/images", { search: "", state: undefined, limit: null }), "/images");
    assert.equal(withQuery("/images", { search: "a&b=<é>", offset: 0, descending: false }),
        "/images?search=a%26b%3D%3C%C3%A9%3E&offset=0&descending=false");
});

test("requests stay below the address of the page", async () => {
    await client.get("/images?limit=1");
    await client.put("/landmarks", { landmarks: [] });
    await client.delete("/presence");
    assert.deepEqual(requests.map(({ method, url, body }) => [method, url, body]), [
        ["GET", "/sub/images?limit=1", ""], ["PUT", "/sub/landmarks", '{"landmarks":[]}'], ["DELETE", "/sub/presence", ""],
    ]);
});

test("an empty body is null, and a page instead of JSON a clear error", async () => {
    answer = () => ({ status: 204, body: "" });
    assert.equal(await client.delete("/presence"), null);
    answer = () => ({ status: 200, body: "<html>" });
    const [kind, message] = await rejection(client.get("/info/"));
    assert.equal(kind, "failed");
    assert.match(message, /^The server's answer cannot be read \(it is not JSON\)/);
});

test("the server's own sentence is shown, else one for the status", async () => {
    const kinds = { 400: "refused", 403: "forbidden", 404: "not_found", 409: "conflict", 415: "refused", 422: "refused",
        429: "busy", 500: "failed", 503: "busy", 507: "failed", 418: "refused" };
    for (const [status, kind] of Object.entries(kinds)) {
        answer = () => ({ status: Number(status), body: '{"detail": "the label was saved by ada"}' });
        assert.deepEqual(await rejection(client.get("/x")), [kind, "The label was saved by ada."]);
        const { message } = errorOfStatus(Number(status), "");
        assert.match(message, /^[A-Z].*\.$/);
    }
    assert.equal(errorOfStatus(400, "max_epochs must be 1 at least").message, "max_epochs must be 1 at least.");
    answer = () => ({ status: 500, body: "Bad gateway" });
    assert.deepEqual(await rejection(client.get("/x")), ["failed", "The server failed; try again."]);
});

test("a server that is gone is said to be unreachable", async () => {
    const lost = new Client("http://127.0.0.1:1/", new Credentials(null, null));
    assert.equal((await rejection(lost.get("/info/")))[0], "unreachable");
});

test("a cancelled request is no failure of the server", async () => {
    const abort = new AbortController();
    answer = () => {
        abort.abort(); // once the server has it, so that no later test gets to see it
        return { never: true };
    };
    assert.equal((await rejection(client.get("/slow", { signal: abort.signal })))[0], "cancelled");
});

test("after a sign-in the refused request is repeated with the token", async () => {
    answer = ({ token }) => token === "Bearer right" ? { status: 200, body: '{"x": 1}' } : { status: 401, body: "{}" };
    client.onUnauthorized = () => { client.credentials.set("right", false); return Promise.resolve(true); };
    assert.deepEqual(await client.post("/measure", { points: {} }), { x: 1 });
    assert.deepEqual(requests.map(({ token, body }) => [token, body]), [["", '{"points":{}}'], ["Bearer right", '{"points":{}}']]);
});

test("who does not sign in is told so, and is not asked for ever", async () => {
    let asked = 0;
    answer = () => ({ status: 401, body: '{"detail": "the token is not valid"}' });
    client.onUnauthorized = () => { asked += 1; return Promise.resolve(false); };
    assert.deepEqual(await rejection(client.get("/images")), ["unauthorized", "The token is not valid."]);
    assert.equal(asked, 1);
});

test("a token that came meanwhile is used without asking again", async () => {
    client.credentials.set("old", false);
    answer = ({ token }) => {
        if (token === "Bearer new") return { status: 200, body: "{}" };
        client.credentials.set("new", false); // by another request that was refused
        return { status: 401, body: "{}" };
    };
    client.onUnauthorized = () => assert.fail("asked again");
    await client.get("/images");
    assert.deepEqual(requests.map(({ token }) => token), ["Bearer old", "Bearer new"]);
});

test("where a login is needed nothing is sent without a token", async () => {
    client.needsToken = true;
    assert.equal((await rejection(client.get("/images")))[0], "unauthorized");
    assert.deepEqual(requests, []);
});

test("a sign-in keeps the token in the tab, or in the browser where that is wanted", async () => {
    answer = ({ body }) => body === "username=ada+b&password=p%26w" ? { status: 200, body: '{"access_token": "t"}' }
        : { status: 401, body: '{"detail": "name and password do not fit"}' };
    const { credentials } = client;
    await client.signIn("ada b", "p&w", false);
    assert.deepEqual([credentials.token, credentials.isRemembered, credentials.tab.values.size], ["t", false, 1]);
    await client.signIn("ada b", "p&w", true);
    assert.deepEqual([credentials.isRemembered, credentials.tab.values.size], [true, 0]);
    assert.equal(new Credentials(new MemoryStorage(), credentials.browser).token, "t");
    assert.deepEqual(await rejection(client.signIn("eve", "x", true)), ["unauthorized", "Name and password do not fit."]);
    credentials.clear();
    assert.deepEqual([credentials.token, credentials.browser.values.size], ["", 0]);
});

test("a browser that forbids storage can be signed in all the same", () => {
    const broken = { getItem() { throw new Error("no"); }, setItem() { throw new Error("no"); }, removeItem() { throw new Error("no"); } };
    const credentials = new Credentials(broken, broken);
    credentials.set("t", true);
    assert.deepEqual([credentials.token, credentials.isRemembered], ["t", false]);
});

test("pixels come in their full depth with the facts and the progress", async () => {
    const values = Uint16Array.from([0, 1, 65535, 256, 4095, 7]);
    const file = npy("<u2", 2, 3, Buffer.from(values.buffer));
    const facts = { width: 3, height: 2, image_left_is: null };
    answer = () => ({ status: 200, body: gzipSync(file), headers: { "Content-Encoding": "gzip", "X-Image-Facts": JSON.stringify(facts) } });
    const seen = [];
    const radiograph = await client.pixels("a/b é", { onProgress: (done, total) => seen.push([done, total]) });
    assert.equal(requests[0].url, "/sub/datastore/image/pixels?image=a%2Fb+%C3%A9");
    assert.deepEqual([radiograph.width, radiograph.height, radiograph.facts], [3, 2, facts]);
    assert.deepEqual(radiograph.data, values);
    assert.deepEqual(seen.at(-1), [12, 12]);
});

test("pixels that are cut short or of another kind are refused", async () => {
    const headers = { "X-Image-Facts": "{}" };
    const bytes = npy("|u1", 2, 3, Buffer.from([1, 2, 3, 4, 5, 6]));
    for (const [body, why] of [
        [bytes.subarray(0, -1), /cut short/], [Buffer.concat([bytes, bytes]), /more pixels than announced/],
        [npy("<f4", 1, 1, Buffer.alloc(4)), /unknown kind/], [Buffer.from("<html>not pixels</html>"), /no \.npy file/],
    ]) {
        answer = () => ({ status: 200, body, headers });
        assert.match((await rejection(client.pixels("x")))[1], why);
    }
});

test("a file may arrive byte by byte", () => {
    const reader = new NpyReader();
    for (const byte of npy("|u1", 2, 2, Buffer.from([9, 8, 7, 6]))) reader.add(Uint8Array.of(byte));
    assert.deepEqual(reader.finish(), { width: 2, height: 2, data: Uint8Array.from([9, 8, 7, 6]) });
});
