/** Globals of the page: its vendored classic script, and what it offers to those who drive it. */
import UPlotLibrary from "uplot";

declare global {
    export import uPlot = UPlotLibrary;

    interface Window {
        vertebraLandmarks: {
            /** Settles when the image that is opened is shown; a new promise for each image. */
            ready: Promise<unknown>;
            /** Where a center ("T7") or corner ("T7 TL") is, in stored pixels; null while it is absent. */
            position(name: string): {x: number; y: number} | null;
            /** Where it is on the page, in CSS pixels; null while it is absent. */
            screenPosition(name: string): {x: number; y: number} | null;
            /** The opened image, the number of edits and the version of the label that was seen. */
            state(): {image: string | null; edits: number; version: number};
        };
    }
}
