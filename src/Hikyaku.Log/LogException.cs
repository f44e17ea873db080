namespace Hikyaku.Log;

/// <summary>Why the log could not do what was asked.</summary>
public enum LogFault
{
    /// <summary>The disk or the user's share of it is full.</summary>
    DiskFull,

    /// <summary>Another writer holds the log.</summary>
    InUse,

    /// <summary>A segment is of a version this program does not know.</summary>
    OtherVersion,

    /// <summary>A system call failed.</summary>
    Storage,
}

/// <summary>An operating error of the log; the message is for people and names the file.</summary>
public sealed class LogException : IOException
{
    /// <summary>An error with its cause and a sentence for people.</summary>
    public LogException(LogFault fault, string message, Exception? inner = null)
        : base(message, inner) => Fault = fault;

    /// <summary>The cause.</summary>
    public LogFault Fault { get; }
}
