/** Container of the 85 points of one image, and its plain form in requests and responses. */

import { CENTER_INDEX, P, V, at, indexOf, labelOf } from "./schema.js";

/** @typedef {import("../api/types.js").Landmark} Landmark */

/** Points of one spine in stored pixels. An absent point has no position, the score 0 and no expected error. */
export class Spine {
    /**
     * @param {Float64Array} xy V x P x 2 pixels, NaN where absent
     * @param {Float64Array} scores V x P confidences
     * @param {Float64Array} errors V x P expected errors in pixels, NaN where not estimated
     * @param {Uint8Array} visible V x P whether the image shows the point
     */
    constructor(xy, scores, errors, visible) {
        this.xy = xy.slice();
        this.scores = scores.slice();
        this.errors = errors.slice();
        this.visible = visible.slice();
        for (let i = 0; i < V * P; i++) {
            if (!(Number.isFinite(xy[2 * i]) && Number.isFinite(xy[2 * i + 1]))) {
                this.xy[2 * i] = this.xy[2 * i + 1] = this.errors[i] = NaN;
                this.scores[i] = this.visible[i] = 0;
            }
        }
    }

    /** A spine without points. @returns {Spine} */
    static empty() {
        const size = V * P;
        return new Spine(
            new Float64Array(2 * size).fill(NaN),
            new Float64Array(size),
            new Float64Array(size).fill(NaN),
            new Uint8Array(size)
        );
    }

    /**
     * The points of a response; unknown names are ignored.
     * @param {readonly Landmark[]} landmarks
     * @returns {Spine}
     */
    static fromLandmarks(landmarks) {
        const { xy, scores, errors, visible } = Spine.empty();
        for (const landmark of landmarks) {
            const index = indexOf(landmark.name);
            if (index === null) {
                continue;
            }
            const i = at(index[0], index[1]);
            xy.set([landmark.x, landmark.y], 2 * i);
            scores[i] = landmark.score;
            errors[i] = landmark.error_px ?? NaN;
            visible[i] = landmark.visible === false ? 0 : 1;
        }
        return new Spine(xy, scores, errors, visible);
    }

    /** All points with a position, in the order of the schema. @returns {Landmark[]} */
    toLandmarks() {
        const landmarks = [];
        for (let i = 0; i < V * P; i++) {
            if (Number.isFinite(this.xy[2 * i])) {
                landmarks.push({
                    name: labelOf(Math.floor(i / P), i % P),
                    x: this.xy[2 * i],
                    y: this.xy[2 * i + 1],
                    score: this.scores[i],
                    error_px: Number.isNaN(this.errors[i]) ? null : this.errors[i],
                    visible: Boolean(this.visible[i]),
                });
            }
        }
        return landmarks;
    }

    /** V x P x 2 pixels, NaN where absent or not visible: the points that are measured. @returns {Float64Array} */
    get visibleXy() {
        return this.xy.map((value, i) => (this.visible[i >> 1] ? value : NaN));
    }

    /**
     * The same points, with those outside the image not visible. A body whose center lies outside has none.
     * @param {number} width of the image in stored pixels
     * @param {number} height of the image in stored pixels
     * @param {Uint8Array | null} kept V x P points whose visibility stays, such as those that a user placed
     * @returns {Spine}
     */
    cutTo(width, height, kept = null) {
        const visible = this.visible.slice();
        const isOn = (/** @type {number} */ i) => {
            const [x, y] = [this.xy[2 * i], this.xy[2 * i + 1]];
            return x >= -0.5 && y >= -0.5 && x <= width - 0.5 && y <= height - 0.5;
        };
        for (let i = 0; i < V * P; i++) {
            const center = i - (i % P) + CENTER_INDEX;
            const isBodyOff = Number.isFinite(this.xy[2 * center]) && !isOn(center);
            if (!kept?.[i] && (isBodyOff || !isOn(i))) {
                visible[i] = 0;
            }
        }
        return new Spine(this.xy, this.scores, this.errors, visible);
    }
}
