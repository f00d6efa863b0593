/** The files of a drop, with those in dropped folders. */

/** Files of one drop at most; a whole archive is better copied into the studies folder. */
export const MAX_DROPPED = 2000;

/**
 * All files of a drop. Folders are read at once, since the browser forgets them after the event.
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>} at most `MAX_DROPPED`
 */
export async function droppedFiles(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
    if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files].slice(0, MAX_DROPPED);
    /** @type {File[]} */
    const files = [];
    for (const entry of entries) if (entry) await collect(entry, files);
    return files;
}

/** @param {FileSystemEntry} entry @param {File[]} files */
async function collect(entry, files) {
    if (files.length >= MAX_DROPPED || entry.name.startsWith(".")) return;
    if (entry.isFile) {
        files.push(await new Promise((resolve, reject) => {
            /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject);
        }));
        return;
    }
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    /** @type {() => Promise<FileSystemEntry[]>} */
    const read = () => new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    for (let some = await read(); some.length; some = await read()) {
        for (const inner of some) await collect(inner, files);
    }
}
