/** NumPy's `.npy` format, as far as the server sends it: two axes of uint8 or little-endian uint16, in C order. */

import { badAnswer } from "./errors.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Bytes that hold the length of the header, at least. */
export const MIN_HEAD_BYTES = 12;

/**
 * @typedef {object} NpyHead
 * @property {number} width
 * @property {number} height
 * @property {1|2} itemBytes bytes of a pixel
 * @property {number} offset first byte of the pixels
 */

/**
 * Parse the head of a file.
 * @param {Uint8Array} bytes the beginning of the file
 * @returns {NpyHead|null} null where more bytes are needed
 * @throws {import("./errors.js").ServerError} it is no such file
 */
export function parseHead(bytes) {
    if (bytes.length < MIN_HEAD_BYTES) return null;
    if (MAGIC.some((byte, index) => bytes[index] !== byte)) throw badAnswer("the pixels are no .npy file");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const isFirstVersion = bytes[6] === 1;
    const begin = isFirstVersion ? 10 : 12;
    const offset = begin + (isFirstVersion ? view.getUint16(8, true) : view.getUint32(8, true));
    if (bytes.length < offset) return null;
    const text = new TextDecoder("latin1").decode(bytes.subarray(begin, offset));
    const type = /'descr':\s*'([<|])u([12])'/.exec(text);
    const shape = /'shape':\s*\((\d+),\s*(\d+)\)/.exec(text);
    if (!type || !shape || !/'fortran_order':\s*False/.test(text)) throw badAnswer("the pixels are of an unknown kind");
    const itemBytes = type[2] === "2" ? 2 : 1;
    return { width: Number(shape[2]), height: Number(shape[1]), itemBytes, offset };
}

/** Collects a file that arrives in pieces, without a second copy of its pixels. */
export class NpyReader {
    constructor() {
        /** @type {NpyHead|null} */
        this.head = null;
        this.pending = new Uint8Array(0);
        this.pixels = new Uint8Array(0);
        this.received = 0;
    }

    /** Bytes of all pixels; 0 while the head is unknown. @returns {number} */
    get total() {
        return this.pixels.byteLength;
    }

    /**
     * Add a piece.
     * @param {Uint8Array} piece
     * @throws {import("./errors.js").ServerError} it is no such file, or longer than its head says
     */
    add(piece) {
        let rest = piece;
        if (this.head === null) {
            const joined = new Uint8Array(this.pending.length + piece.length);
            joined.set(this.pending);
            joined.set(piece, this.pending.length);
            this.pending = joined;
            this.head = parseHead(joined);
            if (this.head === null) return;
            this.pixels = new Uint8Array(this.head.width * this.head.height * this.head.itemBytes);
            rest = joined.subarray(this.head.offset);
            this.pending = new Uint8Array(0);
        }
        if (this.received + rest.length > this.pixels.length) throw badAnswer("there are more pixels than announced");
        this.pixels.set(rest, this.received);
        this.received += rest.length;
    }

    /**
     * The image, once all pieces were added.
     * @returns {{width: number, height: number, data: Uint8Array|Uint16Array}} rows from the top
     * @throws {import("./errors.js").ServerError} it is cut short
     */
    finish() {
        if (this.head === null || this.received < this.pixels.length) throw badAnswer("the pixels are cut short");
        const { width, height, itemBytes } = this.head;
        return { width, height, data: itemBytes === 2 ? new Uint16Array(this.pixels.buffer) : this.pixels };
    }
}
