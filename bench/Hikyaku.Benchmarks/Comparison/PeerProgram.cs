using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A program of a Debian package: installed, or unpacked below a directory. Debian lets only one system logger be installed at a time.</summary>
internal sealed class PeerProgram
{
    private static readonly string Machine = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64-linux-gnu" : "x86_64-linux-gnu";

    // What both need and a small system may not have; those of Debian 12.
    private const string Packages = "rsyslog rsyslog-relp librelp0 liblognorm5 libestr0 libfastjson4 syslog-ng-core libivykis0 libnet1 libwrap0 libpcre3";

    private readonly string _root;
    private readonly string _program;

    private PeerProgram(string root, string program) => (_root, _program) = (root, program);

    /// <summary>The directory of its modules, where <paramref name="path"/> is below /usr/lib; MACHINE stands for the kind of machine.</summary>
    public string Library(string path) => Path.Combine(_root, "usr/lib", path.Replace("MACHINE", Machine, StringComparison.Ordinal));

    /// <summary>Null, and remarks what to do, where it is missing.</summary>
    public static PeerProgram? Find(string program, Session session, params string[] packages)
    {
        if (session.PeersFolder is null)
            return null;
        if (Root(program, session.PeersFolder) is { } found)
            return new PeerProgram(found, program);
        session.Remark($"{program} is missing and left out: install {string.Join(' ', packages)}, or let apt-get download and dpkg -x put them below {session.PeersFolder} (needs the package archive of Debian)");
        return null;
    }

    /// <summary>Downloads and unpacks what is neither installed nor unpacked; nothing is installed. Without an archive nothing happens.</summary>
    public static void Fetch(Session session)
    {
        if (session.Quick || session.PeersFolder is null || (Root("rsyslogd", session.PeersFolder) is not null && Root("syslog-ng", session.PeersFolder) is not null))
            return;
        session.Say($"fetching packages of rsyslog and syslog-ng into {session.PeersFolder} (they are unpacked there, not installed)");
        Directory.CreateDirectory(session.PeersFolder);
        var log = Path.Combine(session.Out, "apt.log");
        using var shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c",
            $"exec >'{log}' 2>&1; apt-get -o APT::Sandbox::User=root download {Packages} || {{ apt-get update; apt-get -o APT::Sandbox::User=root download {Packages}; }} && for p in *.deb; do dpkg -x \"$p\" . || exit 1; done"])
        { WorkingDirectory = session.PeersFolder })!;
        using var ending = session.Cancel.Register(static p => ((Process)p!).Kill(entireProcessTree: true), shell);
        shell.WaitForExit();
        if (shell.ExitCode != 0)
            session.Remark($"packages of rsyslog and syslog-ng could not be fetched: {File.ReadLines(log).LastOrDefault(static l => l.Length > 0)}");
    }

    public ChildProgram Start(string log, params string[] arguments) =>
        new("/usr/bin/env", log, [$"LD_LIBRARY_PATH={Library("MACHINE")}:{Path.Combine(_root, "lib", Machine)}:{Library("syslog-ng")}", Path.Combine(_root, "usr/sbin", _program), .. arguments]);

    private static string? Root(string program, string unpacked) =>
        new[] { "/", unpacked }.FirstOrDefault(root => File.Exists(Path.Combine(root, "usr/sbin", program)));
}
