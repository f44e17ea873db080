using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku version</c>: what a bug report needs.</summary>
internal static class VersionCommand
{
    public static Command Create()
    {
        var command = new Command("version", "Print the version, the runtime and the kernel.");
        command.SetAction(_ =>
        {
            var version = typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
            Console.WriteLine($"hikyaku {version}, {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription.Trim()}");
            return ExitCode.Ok;
        });
        return command;
    }
}
