/** What scripts and tests see of the open image, as `window.vertebraLandmarks`. */

/**
 * @typedef {object} ShownImage
 * @property {string} id
 * @property {(name: string) => {x: number, y: number}|null} position of a point such as "T7 TL" in stored pixels
 * @property {(name: string) => {x: number, y: number}|null} screenPosition the same in CSS pixels of the page
 * @property {() => {image: string|null, edits: number, version: number}} state
 */

/** Stands for the open image; `ready` is a new promise from when another image is asked for. */
export class PageProbe {
    #isPending = true;
    /** @type {(image: ShownImage) => void} */
    #resolve = () => {};
    /** @type {(error: unknown) => void} */
    #reject = () => {};

    constructor() {
        /** @type {ShownImage|null} */
        this.image = null;
        /** Resolves with the image once it is shown; rejects with the error where it cannot be. @type {Promise<ShownImage>} */
        this.ready = this.#newPromise();
    }

    /** The image is about to be left, and stays until then: `ready` waits for what comes after it. */
    leaving() {
        if (this.#isPending) return;
        this.#isPending = true;
        this.ready = this.#newPromise();
    }

    /** The image was not left after all. */
    staying() {
        if (this.image) this.shown(this.image);
    }

    /** An image is being opened: `ready` waits for it. */
    opening() {
        this.leaving();
        this.image = null;
    }

    /** An image is shown. @param {ShownImage} image */
    shown(image) {
        this.image = image;
        this.#isPending = false;
        this.#resolve(image);
    }

    /** The image cannot be shown. @param {unknown} error why */
    failed(error) {
        this.#isPending = false;
        this.#reject(error);
    }

    /** See `ShownImage`; null where there is no such point. @param {string} name */
    position(name) {
        return this.image?.position(name) ?? null;
    }

    /** See `ShownImage`; null where there is no such point. @param {string} name */
    screenPosition(name) {
        return this.image?.screenPosition(name) ?? null;
    }

    /** See `ShownImage`; no image where none is shown. */
    state() {
        return this.image?.state() ?? { image: null, edits: 0, version: 0 };
    }

    #newPromise() {
        /** @type {Promise<ShownImage>} */
        const promise = new Promise((resolve, reject) => { [this.#resolve, this.#reject] = [resolve, reject]; });
        promise.catch(() => {}); // the page itself says why
        return promise;
    }
}
