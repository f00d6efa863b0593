/** What scripts and tests see of the open image, as `window.vertebraLandmarks`. */

/**
 * @typedef {object} ShownImage
 * @property {(name: string) => {x: number, y: number}|null} position of a point such as "T7 TL" in stored pixels
 * @property {(name: string) => {x: number, y: number}|null} screenPosition the same in CSS pixels of the page
 * @property {() => {image: string|null, edits: number, version: number}} state
 */

/** Stands for the open image; `ready` is a new promise for every image that is opened. */
export class PageProbe {
    constructor() {
        /** @type {ShownImage|null} */
        this.image = null;
        /** @type {(image: ShownImage) => void} */
        this.resolve = () => {};
        /** Resolves with the image once it is shown. @type {Promise<ShownImage>} */
        this.ready = this.#newPromise();
    }

    /** An image is being opened: `ready` waits for it. */
    opening() {
        if (this.image === null) return;
        this.image = null;
        this.ready = this.#newPromise();
    }

    /** An image is shown. @param {ShownImage} image */
    shown(image) {
        this.image = image;
        this.resolve(image);
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
        return new Promise((/** @type {(image: ShownImage) => void} */ resolve) => { this.resolve = resolve; });
    }
}
