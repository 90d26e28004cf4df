/**
 * The description of a command of `virstor`: enough to parse its command line
 * and to print its help without loading its code.
 *
 * @module
 */

/** An option of a command. */
export interface OptionSpec {
  /** The long name, without the dashes. */
  readonly name: string;
  /** The short name, one letter, without the dash. */
  readonly short?: string;
  /** The name of the option's value in the help; absent for a switch. */
  readonly value?: string;
  /** The values that the option takes, where it takes only a few. */
  readonly words?: readonly string[];
  /** Whether the option may be given several times; it may not by default. */
  readonly repeatable?: boolean;
  /** One sentence for the help, without a period. */
  readonly help: string;
}

/** A parsed command line. */
export interface Invocation {
  /** The arguments that are not options, in order. */
  readonly operands: readonly string[];
  /**
   * Tells whether a switch is set.
   *
   * @param name The option's long name.
   * @returns True if it is.
   */
  flag(name: string): boolean;
  /**
   * The value of an option.
   *
   * @param name The option's long name.
   * @returns The last one given, if any.
   */
  value(name: string): string | undefined;
  /**
   * The values of an option that may be given several times.
   *
   * @param name The option's long name.
   * @returns All of them, in order.
   */
  values(name: string): readonly string[];
}

/** The surroundings of a command. */
export interface Environment {
  /**
   * The directory for the registry and the control sockets.
   *
   * @returns Its absolute path.
   * @throws {VirstorError} `invalid` if nothing tells where it is.
   */
  stateDirectory(): string;
  /** Whether the user named the state directory, by option or variable. */
  readonly stateDirectoryGiven: boolean;
  /** All commands, in the order of the help. */
  readonly commands: readonly CommandSpec[];
}

/** The code of a command. */
export interface CommandModule {
  /**
   * Runs the command.
   *
   * @param invocation The parsed command line.
   * @param environment The state directory and all commands.
   * @returns The exit code.
   */
  run(
    invocation: Invocation,
    environment: Environment,
  ): Promise<number>;
}

/** The description of a command. */
export interface CommandSpec {
  /** The command's name. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The forms it may be called in, without `virstor`. */
  readonly usage: string;
  /** What the command does, in lines of at most 80 characters. */
  readonly description: readonly string[];
  /** The options, apart from those that every command has. */
  readonly options: readonly OptionSpec[];
  /** The names of the operands that must be given. */
  readonly operands: readonly string[];
  /** Whether further operands may follow. */
  readonly moreOperands: boolean;
  /** Loads the command's code. */
  load(): Promise<CommandModule>;
}

/** The options that every command has. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  {
    name: "state-dir",
    value: "DIR",
    help: "directory of registry and control sockets",
  },
  { name: "help", short: "h", help: "print this help" },
];

/**
 * All options of a command. A letter that one of the command's own options uses
 * means that option.
 *
 * @param spec The command.
 * @returns Its own options, then the common ones.
 */
export function optionsOf({ options }: CommandSpec): OptionSpec[] {
  const taken = new Set(options.map(({ short }) => short));
  const common = COMMON_OPTIONS.map((option) => {
    const { short, ...rest } = option;
    if (short === undefined || !taken.has(short)) return option;
    return { ...rest, help: `${rest.help}; so does -${short} alone` };
  });
  return [...options, ...common];
}
