/** The image, drawn by WebGL 2 with its gray values as integer textures. */

import { pyramid, tilesOf } from "./pyramid.js";
import { FRAGMENT_SHADER, VERTEX_SHADER } from "./shaders.js";

/** @typedef {import("../view_transform.js").ViewTransform} ViewTransform */
/** @typedef {import("./gray_window.js").GrayWindow} GrayWindow */
/** @typedef {import("./equalization.js").Ranks} Ranks */
/** @typedef {import("./pyramid.js").Tile & {texture: WebGLTexture}} TextureTile */
/** @typedef {{shrink: number, unit: number, tiles: TextureTile[]}} TextureLevel */
/** @typedef {import("./pyramid.js").Level & {shrink: number}} Shrunk */
/** @typedef {{width: number, height: number, data: Uint8Array | Uint16Array}} Pixels rows from the top */

const MAX_TILE = 4096;
const MAX_SAMPLE = 1_000_000; // pixels
const DRAFT_SHRINK = 2;
const TILE_UNIT = 0;
const RANKS_UNIT = 1;
const UNIFORMS = [
    ...["rectangle", "toClip", "tile", "toImage", "shrink", "origin", "area", "unit", "window", "isInverted"],
    ...["ranks", "rankRange", "rankScale", "isEqualized"],
];
/** @type {[number, number, number, number]} Red, green, blue and alpha around the image. */
const BACKGROUND = [0.04, 0.045, 0.055, 1];
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
const MISSING =
    "This browser cannot show radiographs, as WebGL 2 is missing or turned off: turn on hardware acceleration, " +
    "or use a current version of Chrome, Edge, Firefox or Safari.";

/** Draws one image; restores itself after the graphics card lost it. */
export class ImageLayer {
    /**
     * @param {HTMLCanvasElement} canvas
     * @param {() => void} onRestored called when the image has to be drawn anew
     * @throws {Error} the browser has no WebGL 2
     */
    constructor(canvas, onRestored) {
        const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
        if (!gl) {
            throw new Error(MISSING);
        }
        this._canvas = canvas;
        this._width = canvas.width;
        this._height = canvas.height;
        this._gl = /** @type {WebGL2RenderingContext} */ (gl);
        /** @type {Pixels | null} */
        this._pixels = null;
        /** @type {TextureLevel[]} */
        this._levels = [];
        /** The image, shrunk to a size from which its contrast can be equalized fast. @type {Shrunk | null} */
        this.sample = null;
        /** @type {Ranks | null} */
        this._ranks = null;
        /** @type {WebGLTexture | null} */
        this._ranksTexture = null;
        /** @type {Record<string, WebGLUniformLocation | null>} */
        this._uniforms = {};
        /** @type {GrayWindow} */
        this.window = { low: 0, high: 1 };
        this.isInverted = false;
        /** Whether it is drawn without a graphics card. */
        this.isSoftware = isSoftware(this._gl);
        this._onLost = (/** @type {Event} */ event) => event.preventDefault(); // else it is never restored
        this._onRestored = () => {
            this._prepare();
            onRestored();
        };
        canvas.addEventListener("webglcontextlost", this._onLost);
        canvas.addEventListener("webglcontextrestored", this._onRestored);
        this._prepare();
    }

    /**
     * Show another image.
     *
     * @param {Pixels} pixels kept, not copied
     * @throws {TypeError} these are not of 8 or 16 bit, or not as many as width times height
     */
    setPixels(pixels) {
        checkPixels(pixels);
        this._pixels = pixels;
        this._ranks = null;
        this._upload();
        this._uploadRanks();
    }

    /**
     * Equalize the contrast, or show the gray values as they are.
     *
     * @param {Ranks | null} ranks of this image
     */
    setRanks(ranks) {
        this._ranks = ranks;
        this._uploadRanks();
    }

    /**
     * @param {number} width of the view in pixels of the screen
     * @param {number} height of the view in pixels of the screen
     */
    resize(width, height) {
        this._width = width;
        this._height = height;
    }

    /**
     * Draw the image.
     *
     * @param {ViewTransform} transform
     * @param {boolean} isDraft whether at a quarter of the pixels of the screen
     */
    draw(transform, isDraft = false) {
        this._setSize(isDraft ? DRAFT_SHRINK : 1);
        const gl = this._gl;
        if (gl.isContextLost()) {
            return;
        }
        const { width, height } = this._canvas;
        gl.viewport(0, 0, width, height);
        gl.clearColor(...BACKGROUND);
        gl.clear(gl.COLOR_BUFFER_BIT);
        if (!this._pixels) {
            return;
        }
        const [a, b, c, d, e, f] = transform.screenToEdges();
        const across = transform.viewWidth / width;
        const down = transform.viewHeight / height;
        const toImage = [a * across, b * across, -c * down, -d * down, e + c * down * height, f + d * down * height];
        const footprint = across / transform.scale;
        const at = Math.min(Math.max(Math.floor(Math.log2(footprint)), 0), this._levels.length - 1);
        const level = this._levels[at];
        const u = this._uniforms;
        gl.uniformMatrix3fv(u.toImage, false, asColumns(toImage));
        gl.uniformMatrix3fv(u.toClip, false, asColumns(toClip(toImage, width, height)));
        gl.uniform1f(u.shrink, level.shrink);
        gl.uniform1f(u.unit, level.unit);
        gl.uniform1f(u.area, Math.min(Math.max(footprint / level.shrink, 1), 2));
        gl.uniform2f(u.window, this.window.low, this.window.high);
        gl.uniform1i(u.isInverted, Number(this.isInverted));
        gl.uniform1i(u.isEqualized, Number(this._ranks !== null));
        for (const tile of level.tiles) {
            this._drawTile(tile, level.shrink);
        }
    }

    /**
     * Set the size of the canvas, which clears it.
     *
     * @param {number} shrink pixels of the screen per pixel of the canvas, along each side
     */
    _setSize(shrink) {
        const width = Math.ceil(this._width / shrink);
        const height = Math.ceil(this._height / shrink);
        if (this._canvas.width !== width || this._canvas.height !== height) {
            this._canvas.width = width;
            this._canvas.height = height;
        }
    }

    /** Release what the graphics card holds; the object cannot be used afterwards. */
    destroy() {
        this._canvas.removeEventListener("webglcontextlost", this._onLost);
        this._canvas.removeEventListener("webglcontextrestored", this._onRestored);
        this._pixels = this.sample = this._ranks = null;
        this._gl.getExtension("WEBGL_lose_context")?.loseContext();
    }

    /**
     * @param {TextureTile} tile
     * @param {number} shrink
     */
    _drawTile(tile, shrink) {
        const gl = this._gl;
        const { width, height } = /** @type {Pixels} */ (this._pixels);
        const right = Math.min(tile.x1 * shrink, width); // the last pixel of a level may reach beyond the image
        const bottom = Math.min(tile.y1 * shrink, height);
        gl.uniform4f(this._uniforms.rectangle, tile.x0 * shrink, tile.y0 * shrink, right, bottom);
        gl.uniform2f(this._uniforms.origin, tile.left, tile.top);
        gl.activeTexture(gl.TEXTURE0 + TILE_UNIT);
        gl.bindTexture(gl.TEXTURE_2D, tile.texture);
        gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }

    /** Build everything that lives in the context, at first and after it was lost. */
    _prepare() {
        const gl = this._gl;
        const program = link(gl);
        gl.useProgram(program);
        this._uniforms = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
        gl.uniform1i(this._uniforms.tile, TILE_UNIT);
        gl.uniform1i(this._uniforms.ranks, RANKS_UNIT);
        this._levels = [];
        this._ranksTexture = null;
        this._upload();
        this._uploadRanks();
    }

    /** Make the textures of the image. */
    _upload() {
        const gl = this._gl;
        for (const { tiles } of this._levels) {
            tiles.forEach(({ texture }) => gl.deleteTexture(texture));
        }
        this._levels = [];
        this.sample = null;
        if (!this._pixels) {
            return;
        }
        const largest = Math.min(MAX_TILE, gl.getParameter(gl.MAX_TEXTURE_SIZE));
        const { width, height, data } = this._pixels;
        let shrink = 1;
        for (const level of pyramid(width, height, data)) {
            const tiles = tilesOf(level.width, level.height, largest).map((tile) => ({
                ...tile,
                texture: tileTexture(gl, level, tile),
            }));
            this._levels.push({ shrink, unit: level.unit, tiles });
            if (!this.sample && level.width * level.height <= MAX_SAMPLE) {
                this.sample = { ...level, shrink };
            }
            shrink *= 2;
        }
    }

    /** Make the texture of the equalization; one without content where there is none. */
    _uploadRanks() {
        const gl = this._gl;
        gl.deleteTexture(this._ranksTexture);
        this._ranksTexture = gl.createTexture();
        gl.activeTexture(gl.TEXTURE0 + RANKS_UNIT);
        gl.bindTexture(gl.TEXTURE_3D, this._ranksTexture);
        gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
        for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
            gl.texParameteri(gl.TEXTURE_3D, side, gl.CLAMP_TO_EDGE);
        }
        const { bins, columns, rows, shares, low, high, region } = this._ranks ?? NO_RANKS;
        resetUnpacking(gl);
        gl.texImage3D(gl.TEXTURE_3D, 0, gl.R16F, bins, columns, rows, 0, gl.RED, gl.FLOAT, shares);
        gl.uniform2f(this._uniforms.rankRange, low, high);
        gl.uniform2f(this._uniforms.rankScale, 1 / region[0], 1 / region[1]);
    }
}

/** @type {Ranks} */
const NO_RANKS = { bins: 1, columns: 1, rows: 1, shares: new Float32Array(1), low: 0, high: 1, region: [1, 1] };

/**
 * @param {WebGL2RenderingContext} gl
 * @param {import("./pyramid.js").Level} level
 * @param {import("./pyramid.js").Tile} tile
 */
function tileTexture(gl, level, tile) {
    const texture = /** @type {WebGLTexture} */ (gl.createTexture());
    gl.activeTexture(gl.TEXTURE0 + TILE_UNIT);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    resetUnpacking(gl);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, level.width);
    gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, tile.left);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, tile.top);
    const isByte = level.data instanceof Uint8Array;
    const format = isByte ? gl.R8UI : gl.R16UI;
    const type = isByte ? gl.UNSIGNED_BYTE : gl.UNSIGNED_SHORT;
    gl.texImage2D(gl.TEXTURE_2D, 0, format, tile.width, tile.height, 0, gl.RED_INTEGER, type, level.data);
    return texture;
}

/** @param {WebGL2RenderingContext} gl */
function resetUnpacking(gl) {
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, 0);
    gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, 0);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, 0);
}

/**
 * Affine map as the columns of a 3 x 3 matrix.
 *
 * @param {number[]} map `[a, b, c, d, e, f]`
 */
function asColumns([a, b, c, d, e, f]) {
    return [a, b, 0, c, d, 0, e, f, 1];
}

/**
 * From pixels of the image to clip coordinates.
 *
 * @param {number[]} toImage from pixels of the canvas, counted from the bottom left, to pixels of the image
 * @param {number} width of the canvas
 * @param {number} height of the canvas
 */
function toClip([a, b, c, d, e, f], width, height) {
    const determinant = a * d - b * c;
    const across = 2 / width / determinant;
    const down = 2 / height / determinant;
    return [
        ...[d * across, -b * down, -c * across, a * down],
        ...[(c * f - d * e) * across - 1, (b * e - a * f) * down - 1],
    ];
}

/**
 * @param {WebGL2RenderingContext} gl
 * @returns {WebGLProgram}
 */
function link(gl) {
    const program = /** @type {WebGLProgram} */ (gl.createProgram());
    for (const [kind, source] of /** @type {[number, string][]} */ ([
        [gl.VERTEX_SHADER, VERTEX_SHADER],
        [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
    ])) {
        const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
        gl.deleteShader(shader); // as soon as the program is
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
        throw new Error(`The image cannot be drawn here: ${gl.getProgramInfoLog(program)}`);
    }
    return program;
}

/** @param {WebGL2RenderingContext} gl */
function isSoftware(gl) {
    const names = gl.getExtension("WEBGL_debug_renderer_info");
    return SOFTWARE.test(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

/** @param {Pixels} pixels */
function checkPixels({ width, height, data }) {
    if (!(data instanceof Uint8Array || data instanceof Uint16Array)) {
        throw new TypeError("the pixels of an image must be a Uint8Array or a Uint16Array");
    }
    if (!(width >= 1 && height >= 1 && data.length === width * height)) {
        throw new TypeError(`an image of ${width} x ${height} pixels cannot have ${data.length}`);
    }
}
