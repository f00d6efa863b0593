/** Pages of the list and thumbnails: fetched on demand, cancelled when out of view, bounded. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerError } from "../../../apps/vertebra_landmarks/browser/api/errors.js";
import { ImagePages, MAX_PAGES, PAGE_SIZE } from "../../../apps/vertebra_landmarks/browser/overview/image_pages.js";
import { MAX_THUMBNAILS, Thumbnails } from "../../../apps/vertebra_landmarks/browser/overview/thumbnails.js";

const TOTAL = 50_000;
const QUERY = { search: "", state: "all", sort: "name", descending: false };

/** Answers after a moment, as the server does. */
class FakeClient {
    asked = [];
    aborted = [];
    async get(path, { signal }) {
        const url = new URL(path, "http://x");
        this.asked.push(url);
        await pause(signal, () => this.aborted.push(Number(url.searchParams.get("offset"))));
        const offset = Number(url.searchParams.get("offset"));
        const images = Array.from({ length: Math.min(PAGE_SIZE, TOTAL - offset) }, (_, index) => ({ id: `i${offset + index}` }));
        return { total: TOTAL, counts: { all: TOTAL }, images };
    }
    async blob(path, { signal }) {
        this.asked.push(path);
        await pause(signal, () => this.aborted.push(path));
        if (path.includes("bad")) throw new ServerError("refused", "No.");
        return new Blob(["x"]);
    }
}

function pause(signal, onAbort) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, 1);
        signal.addEventListener("abort", () => {
            clearTimeout(timer);
            onAbort();
            reject(new ServerError("cancelled", "Cancelled."));
        });
    });
}

const settled = (ms = 15) => new Promise((resolve) => { setTimeout(resolve, ms); });

function pages(client) {
    const seen = { changes: 0, errors: [] };
    const list = new ImagePages(client, { onChange: () => { seen.changes += 1; }, onError: (error) => seen.errors.push(error) });
    return { list, seen };
}

test("only the pages in view are fetched", async () => {
    const client = new FakeClient();
    const { list } = pages(client);
    list.setQuery(QUERY);
    await settled();
    assert.equal(list.total, TOTAL);
    list.want(30_150, 30_250);
    await settled();
    assert.equal(list.row(30_199).id, "i30199");
    assert.equal(list.row(30_200).id, "i30200");
    assert.equal(list.row(29_999), undefined);
    assert.deepEqual(client.asked.map((url) => url.searchParams.get("offset")), ["0", "30000", "30200"]);
    list.want(30_150, 30_250);
    await settled();
    assert.equal(client.asked.length, 3); // nothing twice
});

test("what has left the view is cancelled, without an error", async () => {
    const client = new FakeClient();
    const { list, seen } = pages(client);
    list.setQuery(QUERY);
    await settled();
    list.want(10_000, 10_010);
    list.want(20_000, 20_010);
    await settled();
    assert.deepEqual(client.aborted, [10_000]);
    assert.deepEqual([list.row(10_000), list.row(20_000).id, seen.errors.length], [undefined, "i20000", 0]);
});

test("a new query forgets the rows of the one before, also those on their way", async () => {
    const client = new FakeClient();
    const { list, seen } = pages(client);
    list.setQuery(QUERY);
    list.setQuery({ ...QUERY, search: "b", descending: true });
    assert.equal(list.row(0), undefined);
    await settled();
    assert.deepEqual([client.aborted, seen.changes], [[0], 1]);
    assert.equal(client.asked.at(-1).search, "?search=b&state=all&sort=name&descending=true&offset=0&limit=200");
});

test("the pages kept are bounded, and the newest ones stay", async () => {
    const { list } = pages(new FakeClient());
    list.setQuery(QUERY);
    await settled();
    for (let page = 1; page <= MAX_PAGES + 3; page += 1) {
        list.want(page * PAGE_SIZE, page * PAGE_SIZE + 5);
        await settled(5);
    }
    assert.equal(list.pages.size, MAX_PAGES);
    assert.equal(list.row((MAX_PAGES + 3) * PAGE_SIZE)?.id, `i${(MAX_PAGES + 3) * PAGE_SIZE}`);
    assert.equal(list.row(PAGE_SIZE), undefined);
});

test("thumbnails are fetched a few at a time, kept within bounds, and released", async () => {
    const client = new FakeClient();
    const released = [];
    const original = URL.revokeObjectURL;
    URL.revokeObjectURL = (url) => { released.push(url); original(url); };
    try {
        let loaded = 0;
        const thumbnails = new Thumbnails(client, () => { loaded += 1; });
        for (let first = 0; first < MAX_THUMBNAILS + 40; first += 20) {
            thumbnails.want(Array.from({ length: 20 }, (_, index) => `i${first + index}`));
            assert.ok(thumbnails.running.size <= 3);
            while (thumbnails.waiting.length || thumbnails.running.size) await settled(2);
        }
        assert.equal(loaded, MAX_THUMBNAILS + 40);
        assert.deepEqual([thumbnails.urls.size, released.length], [MAX_THUMBNAILS, 40]);
        assert.equal(thumbnails.url("i0"), undefined);
        assert.match(thumbnails.url(`i${MAX_THUMBNAILS + 39}`), /^blob:/);
        thumbnails.close();
        assert.equal(released.length, MAX_THUMBNAILS + 40);
    } finally {
        URL.revokeObjectURL = original;
    }
});

test("thumbnails out of view are cancelled, and one that cannot be had is not asked for again", async () => {
    const client = new FakeClient();
    const thumbnails = new Thumbnails(client, () => {});
    thumbnails.want(["a", "b", "c", "d", "e"]);
    thumbnails.want(["bad"]);
    await settled();
    assert.equal(client.aborted.length, 3);
    assert.deepEqual([thumbnails.url("bad"), thumbnails.url("d")], ["", undefined]);
    const before = client.asked.length;
    thumbnails.want(["bad"]);
    await settled();
    assert.equal(client.asked.length, before);
});
