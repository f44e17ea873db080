using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Hikyaku.Supervision;

/// <summary>A moment between us and a plugin: the kernel is told to end it when we end, however that happens, and then it takes this process over.</summary>
internal static unsafe class PluginChild
{
    public const string Verb = "serve-plugin";

    private const int NotFound = 127;

    /// <summary>The words that stand in front of a plugin's own.</summary>
    public static IReadOnlyList<string> Launcher => [.. ChildProcess.Self, Verb, Environment.ProcessId.ToString(CultureInfo.InvariantCulture)];

    public static int Run(string[] words)
    {
        _ = Libc.PrCtl(Libc.PR_SET_PDEATHSIG, Libc.SIGKILL, 0, 0, 0);
        // Whoever died before that cannot be noticed any more.
        if (Libc.GetPPid() != int.Parse(words[0], CultureInfo.InvariantCulture))
            return NotFound;
        // Ignored by the runtime, and it would stay so.
        _ = Libc.Signal(Libc.SIGPIPE, Libc.SIG_DFL);
        var command = words[1..];
        var arguments = (byte**)NativeMemory.AllocZeroed((nuint)command.Length + 1, (nuint)sizeof(byte*));
        for (var i = 0; i < command.Length; i++)
            arguments[i] = (byte*)Marshal.StringToCoTaskMemUTF8(command[i]);
        _ = Libc.ExecVp(arguments[0], arguments);
        var message = Encoding.UTF8.GetBytes($"{command[0]}: cannot be started: {Marshal.GetLastPInvokeErrorMessage()}\n");
        fixed (byte* bytes = message)
            _ = Libc.Write(2, bytes, (nuint)message.Length);
        return NotFound;
    }
}
