using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A program of a Debian package: installed, or unpacked below a directory. Debian lets only one system logger be installed at a time.</summary>
internal sealed class PeerProgram
{
    private static readonly string Machine = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64-linux-gnu" : "x86_64-linux-gnu";

    private readonly string _root;
    private readonly string _program;

    private PeerProgram(string root, string program) => (_root, _program) = (root, program);

    /// <summary>The directory of its modules, where <paramref name="path"/> is below /usr/lib; MACHINE stands for the kind of machine.</summary>
    public string Library(string path) => Path.Combine(_root, "usr/lib", path.Replace("MACHINE", Machine, StringComparison.Ordinal));

    /// <summary>Null, and says what to do, where it is missing.</summary>
    public static PeerProgram? Find(string program, string unpacked, string[] packages, Action<string> say)
    {
        if (new[] { "/", unpacked }.FirstOrDefault(root => File.Exists(Path.Combine(root, "usr/sbin", program))) is { } found)
            return new PeerProgram(found, program);
        say($"{program} is missing and left out: install {string.Join(' ', packages)}, or unpack them below {unpacked} (docs/PERFORMANCE.md has the commands)");
        return null;
    }

    public ChildProgram Start(string log, params string[] arguments) =>
        new("/usr/bin/env", log, [$"LD_LIBRARY_PATH={Library("MACHINE")}:{Path.Combine(_root, "lib", Machine)}:{Library("syslog-ng")}", Path.Combine(_root, "usr/sbin", _program), .. arguments]);
}
