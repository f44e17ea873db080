namespace Hikyaku.Commands;

/// <summary>What the program ends with; printed by --help and in the README.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>Failed while running.</summary>
    public const int Failed = 1;

    /// <summary>Wrong usage or configuration.</summary>
    public const int Usage = 2;

    /// <summary>Something on this machine is missing or taken: /dev/fuse, a permission, a port, the state directory.</summary>
    public const int Missing = 3;

    public const string Help = "Exit codes: 0 ok, 1 failed while running, 2 wrong usage or configuration, 3 something on this machine is missing or taken.";
}

/// <summary>Ends a command with a message for people and an exit code.</summary>
internal sealed class CommandException(int exitCode, string message) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
