/**
 * Signals that end a command. Apart from `cli/terminal`, because only commands
 * that take long need the native calls behind them.
 *
 * @module
 */

export { handleSignals } from "./stop_signals.ts";
