/** Numbers of agreement as texts and as files. */

/** @typedef {import("../../api/types.js").TableRow} TableRow */

/** A number as people read it, "–" where it is not defined. @param {string|number|undefined} value @param {number} digits */
export function numberText(value, digits) {
    return typeof value === "number" ? value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "") : "–";
}

/**
 * A value with its 95 % interval, such as "0.4 (−0.2 to 1.0)".
 * @param {TableRow} row
 * @param {string} name of the value; that of its ends has "_low" and "_high"
 * @param {number} digits
 */
export function estimateText(row, name, digits) {
    const value = numberText(row[name], digits);
    const ends = [row[`${name}_low`], row[`${name}_high`]].map((end) => numberText(end, digits));
    return value === "–" || ends.includes("–") ? value : `${value} (${ends[0]} to ${ends[1]})`;
}

/** Rows as a table of a file. @param {readonly TableRow[]} rows @returns {string} CSV with a heading; "" without rows */
export function csvOf(rows) {
    if (!rows.length) return "";
    const names = Object.keys(rows[0]);
    const cell = (/** @type {string|number|undefined} */ value) => {
        const text = String(value ?? "");
        return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
    };
    return [names, ...rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(cell).join(",")).join("\n") + "\n";
}

/** Let the browser save a text. @param {string} name of the file @param {string} text @param {string} type */
export function save(name, text, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 0);
}
