/**
 * What every page gets from the shell.
 *
 * @typedef {object} Context
 * @property {import("../api/client.js").Client} client
 * @property {import("./settings.js").Settings} settings
 * @property {import("./session.js").Session} session who the user is and what they may do
 * @property {import("./study.js").Study} study plan, progress, and the user's part in it
 * @property {import("./messages.js").Messages} messages
 * @property {import("./router.js").Router} router
 * @property {import("./page_probe.js").PageProbe} probe `window.vertebraLandmarks`
 * @property {() => string} user name to save with labels; "" where none was entered
 * @property {(sections: import("./help_sheet.js").HelpSection[]) => void} setHelp keys of the present page
 * @property {() => void} toggleHelp show or hide the keys
 */

export {};
