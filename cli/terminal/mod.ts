/**
 * The command line's input and output: arguments, help, log, exit codes.
 *
 * @module
 */

export { GLOBAL_OPTIONS, parseCommand, parseGlobal } from "./arguments.ts";
export { optionsOf } from "./command.ts";
export type {
  CommandSpec,
  Environment,
  Invocation,
  OptionSpec,
} from "./command.ts";
export { EVENT_LEVELS, LOG_LEVELS } from "./event_levels.ts";
export type { EventName, LogLevel } from "./event_levels.ts";
export {
  EXIT_CODE_MEANINGS,
  EXIT_CODES,
  EXIT_DAMAGED,
  EXIT_FAILED,
  EXIT_INTERNAL,
  EXIT_OK,
  EXIT_SIGNAL,
  EXIT_USAGE,
} from "./exit_code.ts";
export { findingText, isMissing } from "./finding_text.ts";
export { commandHelp, generalHelp } from "./help.ts";
export {
  ask,
  clearScreen,
  finishErrors,
  log,
  logLevel,
  OutputClosedError,
  print,
  printError,
  printInternalError,
  printJson,
  printNotices,
  printWarnings,
  queueErrors,
  setLogLevel,
  setLogStyle,
  withProgress,
} from "./output.ts";
export { nodeProcess } from "./node_process.ts";
export { numberOption } from "./number_option.ts";
export type { LogStyle } from "./output.ts";
export { exactSize, formatSeconds, formatSize, parseSize } from "./size.ts";
export { textPairs, textTable } from "./text_table.ts";
export { didYouMean, UsageError } from "./usage_error.ts";
export { readVariable } from "./variable.ts";
