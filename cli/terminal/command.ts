/**
 * What a command of `virstor` is: enough to parse its command line and to
 * write its help without loading the code that carries it out.
 *
 * @module
 */

/** An option of a command. */
export interface OptionSpec {
  /** The long name, without the dashes. */
  readonly name: string;
  /** The letter, without the dash. */
  readonly short?: string;
  /** What its value is called in the help; absent for a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeatable?: boolean;
  /** One sentence for the help, without a period. */
  readonly help: string;
}

/** A command line, understood. */
export interface Invocation {
  /** The arguments that are no options. */
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

/** What a command gets from the world around it. */
export interface Environment {
  /**
   * The directory for the registry and the control sockets.
   *
   * @returns Its absolute path.
   * @throws {VirstorError} `invalid` if nothing tells where it is.
   */
  stateDirectory(): string;
  /** Whether the user said where it is, by option or variable. */
  readonly stateDirectoryGiven: boolean;
  /** All commands, in the order of the help. */
  readonly commands: readonly CommandSpec[];
}

/** The code of a command. */
export interface CommandModule {
  /**
   * Carries the command out.
   *
   * @param invocation What was asked.
   * @param environment Where.
   * @returns The exit code.
   */
  run(
    invocation: Invocation,
    environment: Environment,
  ): Promise<number>;
}

/** A command, described. */
export interface CommandSpec {
  /** What it is called. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The forms it may be called in, without `virstor`. */
  readonly usage: string;
  /** What it does, in lines of at most 78 characters. */
  readonly description: readonly string[];
  /** The options, apart from those that every command has. */
  readonly options: readonly OptionSpec[];
  /** The names of the operands that must be given. */
  readonly operands: readonly string[];
  /** Whether more operands than that may follow. */
  readonly moreOperands: boolean;
  /** Loads the code. */
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
 * All options of a command. A letter that the command has given to one of its
 * own stands for that one.
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
