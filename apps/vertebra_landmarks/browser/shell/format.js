/** Numbers and times as people read them. */

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86400;

/** A whole number with separators. @param {number} count */
export function countText(count) {
    return count.toLocaleString("en-US");
}

/** "1 image", "2 images". @param {number} count @param {string} one @param {string} [many] */
export function plural(count, one, many = `${one}s`) {
    return `${countText(count)} ${count === 1 ? one : many}`;
}

/**
 * How long ago something was, in words.
 * @param {number} seconds since 1970
 * @param {number} [now] the same, for now
 */
export function agoText(seconds, now = Date.now() / 1000) {
    const ago = Math.max(0, now - seconds);
    if (ago < MINUTE_S) return "just now";
    if (ago < HOUR_S) return `${Math.floor(ago / MINUTE_S)} min ago`;
    if (ago < DAY_S) return `${Math.floor(ago / HOUR_S)} h ago`;
    if (ago < 7 * DAY_S) return plural(Math.floor(ago / DAY_S), "day") + " ago";
    return dateText(seconds);
}

/** A day, such as "2026-11-30". @param {number} seconds since 1970 */
export function dateText(seconds) {
    const date = new Date(seconds * 1000);
    const part = (/** @type {number} */ value) => String(value).padStart(2, "0");
    return `${date.getFullYear()}-${part(date.getMonth() + 1)}-${part(date.getDate())}`;
}

/** Day and time, such as "2026-11-30 14:05". @param {number} seconds since 1970 */
export function dateTimeText(seconds) {
    const date = new Date(seconds * 1000);
    const part = (/** @type {number} */ value) => String(value).padStart(2, "0");
    return `${dateText(seconds)} ${part(date.getHours())}:${part(date.getMinutes())}`;
}

/** A duration, such as "45 s", "3 min 20 s", "1 h 5 min". @param {number} seconds */
export function durationText(seconds) {
    const whole = Math.round(seconds);
    if (whole < MINUTE_S) return `${whole} s`;
    const hours = Math.floor(whole / HOUR_S);
    const minutes = Math.floor((whole % HOUR_S) / MINUTE_S);
    if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
    return whole % MINUTE_S ? `${minutes} min ${whole % MINUTE_S} s` : `${minutes} min`;
}

/** An angle, such as "36.6°" or "−2.0°". @param {number} degrees */
export function angleText(degrees) {
    return `${degrees.toFixed(1).replace("-", "−")}°`;
}

/** A change of an angle with its sign, such as "+4.1°" or "−2.0°". @param {number} degrees */
export function changeText(degrees) {
    const rounded = Math.abs(degrees).toFixed(1);
    if (Number(rounded) === 0) return "0.0°";
    return `${degrees < 0 ? "−" : "+"}${rounded}°`;
}
