/**
 * Types of the server's answers, for the type checker only. Times are seconds since 1970, angles degrees, positions
 * stored pixels of the file with pixel centers at whole numbers.
 *
 * @typedef {"unlabelled"|"predicted"|"labelled"|"unreadable"} ImageState
 *
 * @typedef {object} ImageRow a row of `GET /images`
 * @property {string} id
 * @property {string} file its name
 * @property {ImageState} state
 * @property {string|null} user who labelled it; null where nobody did or that is unknown
 * @property {number|null} labelled_at
 * @property {number|null} seconds of work on the label
 * @property {number|null} edits of the label
 * @property {number|null} version of the label
 * @property {number|null} doubt 0 to 2, mostly below 1; null where the model has not scored the image
 * @property {number|null} added_at
 * @property {number|null} largest_angle_deg
 * @property {string[]} [opened_by] who has it open now
 * @property {"to read"|"yours, open"|"read"|"to adjudicate"|"final"} [reading] how far it is for this user; only in a study
 *     with a plan
 *
 * @typedef {Record<"all"|ImageState, number>} ImageCounts
 *
 * @typedef {object} ImagePage answer of `GET /images`
 * @property {number} total images that match
 * @property {ImageCounts} counts of the whole study
 * @property {ImageRow[]} images
 *
 * @typedef {object} Orientation how stored pixels become upright
 * @property {number} turn_deg clockwise turn, after the mirroring
 * @property {boolean} mirrored whether the columns are reversed first
 *
 * @typedef {object} ImageFacts what the header of an image states, see docs/SERVER.md
 * @property {number} width
 * @property {number} height
 * @property {"left"|"right"|null} image_left_is the patient's side at the left of the upright image
 * @property {string} image_left_is_source
 * @property {Orientation|null} orientation
 * @property {{code: string, message: string, vertebrae: string[]}[]} [warnings] raised by reading the file
 * @property {string} digest of the file
 *
 * @typedef {object} Radiograph
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array|Uint16Array} data rows from the top, bone bright
 * @property {ImageFacts} facts
 *
 * @typedef {object} Curve a curve of the spine
 * @property {string} upper_end vertebra, such as "T5"
 * @property {string} lower_end
 * @property {string} apex
 * @property {string} side "left" or "right"
 * @property {number} angle_deg
 * @property {number|null} half_width_deg of the interval of the angle
 * @property {string[]} [open_ends]
 * @property {string} text such as "36.6 ± 2.1°  T5–T12 right"
 *
 * @typedef {object} FollowUpImage
 * @property {string} id
 * @property {string|null} date ISO 8601
 * @property {string} date_source where the date comes from
 * @property {ImageState} state
 * @property {number} version
 * @property {Curve[]} curves free measurement
 * @property {{upper_end: string, lower_end: string, angle_deg: number|null, half_width_deg?: number|null}[]} same_ends
 *     measured at the end vertebrae of the earliest image
 * @property {number|null} t1_tilt_deg
 *
 * @typedef {object} FollowUp answer of `GET /follow_up`
 * @property {string|null} patient hash of the patient; null where the patient is unknown
 * @property {FollowUpImage[]} images by date
 * @property {{upper_end: string, lower_end: string, from: string, to: string, change_deg: number,
 *     within_error: boolean|null}[]} changes
 * @property {number} [left_out] images of the patient beyond those that the server compares
 * @property {number} [unread] images of the study whose headers have not been read yet, and may belong to the patient
 *
 * @typedef {object} Statistics answer of `GET /statistics`
 * @property {{day: string, user: string, count: number}[]} labels_by_day
 * @property {{ts: number, seconds: number, edits: number, user: string}[]} seconds
 * @property {number[]} largest_angle_deg
 * @property {{user: string, labels: number, median_seconds: number|null}[]} readers
 *
 * @typedef {{"films": number, "films_better": number}} ComparedImages number of images
 *
 * @typedef {ComparedImages & Verdict} Gate the publish gate's verdict
 *
 * @typedef {object} Verdict
 * @property {number|null} before mean error in steps, the distance of neighbouring centers
 * @property {number|null} after
 * @property {boolean} is_passed
 * @property {boolean} is_published
 * @property {boolean} is_weak
 * @property {string} why a sentence
 *
 * @typedef {object} Training report of the newest training, in `GET /info/`
 * @property {"starting"|"running"|"done"|"failed"|"stopped"|"interrupted"} state
 * @property {string} [stage]
 * @property {number} [epoch]
 * @property {number} [total_epochs]
 * @property {number} [percent]
 * @property {number|null} [loss]
 * @property {{corner_mean: number|null}|null} [validation] corner_mean in pixels
 * @property {{corner_mean: number|null}|null} [before]
 * @property {number} [start_ts]
 * @property {number} [elapsed_s]
 * @property {string} [version_before]
 * @property {string|null} [version_after]
 * @property {{training?: number, validation?: number, new?: number, patients?: number, phantoms?: number}} [images]
 * @property {Gate} [gate]
 * @property {string|null} [error]
 * @property {string|null} [message]
 *
 * @typedef {object} ModelVersion
 * @property {number} number 0 for the weights that the server began with
 * @property {string} name
 * @property {string} made ISO 8601
 * @property {number} parent
 * @property {{gate?: Gate, trained_on?: number, held_out?: number}} facts
 *
 * @typedef {object} PacsInfo state of the PACS, "off" where the images are in a folder
 * @property {string} state
 * @property {string} [summary] a sentence for people
 * @property {boolean} [is_failing] whether it needs attention
 *
 * @typedef {object} ServerInfo answer of `GET /info/`, as far as this page reads it
 * @property {string} name
 * @property {string} version
 * @property {number} served_version
 * @property {Record<string, {description: string}>} strategies
 * @property {Record<string, Record<string, any>>} models
 * @property {Record<string, {config: Record<string, string|number|boolean>}>} trainers
 * @property {Record<string, Training>} train_stats
 * @property {PacsInfo} [pacs]
 *
 * @typedef {object} Owner answer of `GET /auth/token/valid`
 * @property {string} username "anybody" on a server without login
 * @property {string[]} roles

 *
 * @typedef {object} CheckItem a vertebra to be checked
 * @property {string} vertebra
 * @property {"doubtful"|"implausible"} kind
 * @property {string} text a sentence
 *
 * @typedef {Curve & {lines: [number, number][][], text_at: [number, number]}} MeasuredCurve with its Cobb lines
 *
 * @typedef {object} Measurement answer of `POST /measure`
 * @property {MeasuredCurve[]} curves from top to bottom
 * @property {"patient"|"image"} sides_of whose sides are stated
 * @property {number|null} t1_tilt_deg
 * @property {string} interval what the intervals mean; "" where no angle has one
 * @property {Record<string, {color: string, state: "sure"|"doubtful"|"implausible", sign: string,
 *     uncertainty: number}>} vertebrae
 * @property {CheckItem[]} to_check
 * @property {{code: string, message: string, vertebrae: string[]}[]} warnings
 * @property {number|null} names_right probability
 * @property {{kind: string, text: string, vertebrae: string[]}[]} submission_warnings
 *
 * @typedef {object} Landmark a point in requests and responses
 * @property {string} name such as "T7" or "T7 TL"
 * @property {number} x stored pixels
 * @property {number} y stored pixels
 * @property {number} score confidence in 0...1, 1 for a point placed by a person
 * @property {number|null} error_px expected distance from the true position; null where not estimated
 * @property {boolean} visible whether the image shows it
 *
 * @typedef {{code: string, message: string, vertebrae: string[]}} ImageWarning
 *
 * @typedef {object} Origin provenance of points that no user set, in responses, label information and drafts
 * @property {string} model_version "" where unknown
 * @property {number|null} names_right probability that all names are right; null where the model does not state it
 * @property {Record<string, number|null>|null} tilt_half_widths_deg each vertebra's part in the interval of an angle;
 *     null where the model does not state them
 * @property {Orientation|null} orientation how the model turned the raster upright; null where unknown
 * @property {ImageWarning[]} warnings about the image as a whole
 *
 * @typedef {object} LabelInfo who saved a label, and what it cost
 * @property {string} [user]
 * @property {number} [ts] when
 * @property {number} [seconds]
 * @property {number} [edits]
 * @property {{of_tag?: string, of_version?: number, moved?: string[]}} [proposal] of which label, and names of the
 *     corners that it moves
 *
 * @typedef {object} Label answer of `GET /landmarks`
 * @property {string} image
 * @property {string} tag
 * @property {number} version
 * @property {Landmark[]} landmarks
 * @property {string[]} touched names of points that a person set
 * @property {LabelInfo} info
 * @property {Origin} origin
 *
 * @typedef {object} Prediction answer of `POST /infer`, as far as this page reads it
 * @property {Landmark[]} landmarks
 * @property {ImageFacts} image
 *
 * @typedef {object} StudyPlan as `study.yaml` has it, see docs/STUDY.md; shares are 0 to 1
 * @property {string[]} readers
 * @property {string[]} adjudicators
 * @property {{share: number}} second_reading
 * @property {{share: number, after_days: number}} repeat
 * @property {boolean} blind
 * @property {{first: boolean, second: boolean, repeat: boolean}} model
 * @property {{share: number, images: string[]}} hold_out
 * @property {number} seed
 *
 * @typedef {object} ReaderProgress
 * @property {string} reader
 * @property {number} done
 * @property {number} open under work
 * @property {number} to_do may still be read, new images by each reader
 * @property {number|null} seconds_median
 *
 * @typedef {object} StudyProgress numbers of images, and the progress by reader
 * @property {ReaderProgress[]} readers
 * @property {number} images
 * @property {number} read
 * @property {number} to_adjudicate
 * @property {number} final
 *
 * @typedef {object} StudyStatus answer of `GET /study`
 * @property {StudyPlan|null} plan
 * @property {string} version of the plan; "" without one
 * @property {StudyProgress|null} progress
 * @property {{user: string, is_reader: boolean, is_adjudicator: boolean}} you
 * @property {string[]} [warnings] what the plan names that is not there; missing in answers of releases up to 0.13.0
 *
 * @typedef {object} PlanEffect what a change of the plan does to images that were read
 * @property {number} closes images that become final, and are shown to everybody
 * @property {number} opens images that are to be read further, and are hidden from their readers
 *
 * @typedef {object} ReadingSlot a reading under work
 * @property {number} number
 * @property {"first"|"second"|"repeat"} kind
 * @property {boolean} blind
 * @property {boolean} model whether the model's points are offered
 *
 * @typedef {ReadingSlot & {submitted: boolean}} OwnReading a reading of the user, under work or made
 *
 * @typedef {object} NextImage answer of `POST /study/next`
 * @property {string|null} image
 * @property {string} [sentence] why there is none
 * @property {boolean} [adjudicate]
 * @property {ReadingSlot} [reading]
 *
 * @typedef {object} Part what the user may do with an image of a study
 * @property {boolean} may_save
 * @property {boolean} model whether the model's points are offered
 * @property {OwnReading|null} reading the own one
 *
 * @typedef {object} StudyReading a reading of an image
 * @property {number} number
 * @property {string} kind
 * @property {string} reader
 * @property {boolean} blind
 * @property {number|null} submitted
 * @property {number|null} seconds
 * @property {number|null} edits
 * @property {string} tag
 * @property {number} version
 * @property {Landmark[]} landmarks
 * @property {Measurement} measured
 *
 * @typedef {object} Difference of a vertebra between two readings; numbers are null where only one has it
 * @property {string} vertebra
 * @property {number|null} center_px
 * @property {number|null} corners_px
 * @property {number|null} tilt_deg
 * @property {boolean} is_missing
 *
 * @typedef {object} MeanReading mean of two readings as it would be saved, or why there is none
 * @property {Landmark[]} landmarks
 * @property {Measurement|null} measured
 * @property {string} sentence
 *
 * @typedef {object} ImageReadings answer of `GET /readings`
 * @property {string} image
 * @property {StudyReading[]} readings
 * @property {Difference[]} differences missing ones first, then the largest
 * @property {number|null} angle_difference_deg
 * @property {number} names_shift 1: what the first calls T7 the second calls T8
 * @property {MeanReading|null} mean
 * @property {{version: number, how: number|string|null, by: string}|null} final
 * @property {Part} you
 *
 * @typedef {object} QueuedImage
 * @property {string} image
 * @property {{number: number, reader: string, version: number}[]} readings
 * @property {string|null} adjudicator who has it open
 *
 * @typedef {Record<string, string|number>} TableRow
 *
 * @typedef {object} AngleComparison angles of two readings by image
 * @property {string} comparison kind, such as "inter-reader"
 * @property {string} first
 * @property {string} second
 * @property {string} title
 * @property {string} angle "largest" or a region
 * @property {[string, number, number][]} points image and both angles in degrees
 *
 * @typedef {object} Agreement answer of `GET /study/agreement`
 * @property {string} sentence why there is none; "" where there is
 * @property {boolean} [hidden] whether that is because the user may not see it
 * @property {string[]} problems
 * @property {number} left_out
 * @property {string[]} [readers]
 * @property {number} [images]
 * @property {Record<string, TableRow[]>} [tables]
 * @property {AngleComparison[]} [plots]
 * @property {string} [methods]
 * @property {string} [results]
 */

export {};
