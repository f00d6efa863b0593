/** Keys that nobody else has. */

/** A unique key. @returns {string} 32 hexadecimal digits */
export function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // crypto.randomUUID needs HTTPS
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
