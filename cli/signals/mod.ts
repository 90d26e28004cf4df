/**
 * Signals that end a command, and waits that end with it. Apart from
 * `cli/terminal`, because only commands that take long need the native calls
 * behind them.
 *
 * @module
 */

export { pause } from "./pause.ts";
export { handleSignals } from "./stop_signals.ts";
