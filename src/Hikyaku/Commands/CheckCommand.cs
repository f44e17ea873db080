using System.CommandLine;
using System.Globalization;
using Hikyaku.Config;
using Hikyaku.Forward;
using Hikyaku.Log;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku check FILE</c>: says in a few lines what a configuration means, or everything that is wrong with it.</summary>
internal static class CheckCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "The configuration file, native or K2HFTFUSE's." };
        var command = new Command("check", "Check a configuration and print what it means.") { file };
        command.SetAction(parsed => CommandLine.Guard(() =>
        {
            Describe(ConfigurationFile.Load(parsed.GetRequiredValue(file)), Console.Out);
            return ExitCode.Ok;
        }));
        return command;
    }

    public static void Describe(Settings settings, TextWriter output)
    {
        output.WriteLine($"host     {settings.Host}");
        output.WriteLine($"state    {settings.State}");
        foreach (var mount in settings.Mounts)
        {
            output.WriteLine($"mount    {mount.Name} at {(mount.At is "" ? "the directory given to 'hikyaku mount DIR'" : mount.At)}, keeps {(mount.KeepAll ? "what is written" : "nothing")}, {(mount.CarriesUnmounted ? "" : "ignores what is written while it is not mounted, ")}{Describe(mount.Log)}");
            if (mount.Only.Count > 0)
                output.WriteLine($"           only files {string.Join(' ', mount.Only)} can be made and written");
        }
        if (settings.Receive is { } receive)
        {
            output.WriteLine($"receive  Forward on {receive.Listen}, {Describe(receive.Log)}");
            output.WriteLine($"           peers need {receive.Admission?.Describe() ?? "nothing: anybody may connect, in plain text"}");
            Describe(receive.Admission?.Tls, output);
        }
        foreach (var route in settings.Routes)
        {
            output.WriteLine($"route    {route.Name}: {(route.Match.Count is 0 ? "every line" : string.Join(' ', route.Match))} from {string.Join(", ", route.From)}");
            foreach (var rule in RuleReader.Describe(route.Rules))
                output.WriteLine($"           {rule}");
            if (route.Filter is { } filter)
                output.WriteLine($"           {OutputReader.Describe(filter)}");
            if (route.Forward is { } forward)
            {
                output.WriteLine($"           to {forward.Describe()}");
                if (forward.Credentials is { } credentials)
                    output.WriteLine($"           with {credentials.Describe()}");
                Describe(forward.Credentials?.Tls, output);
            }
            if (route.File is { } file)
                output.WriteLine($"           to file {file.Path}, format {file.Format}, time {file.Time}{file.DescribeSlices()}");
            if (route.Pipe is { } pipe)
                output.WriteLine($"           to the process {pipe.Describe()}");
        }
        foreach (var notice in settings.Notices)
            output.WriteLine($"notice   {notice}");
    }

    private static void Describe(TlsSettings? tls, TextWriter output)
    {
        if (tls is not null)
            foreach (var (file, certificate) in TlsMaterial.Load(tls).Certificates)
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"           certificate {file}: {TlsMaterial.NameOf(certificate)}, valid until {certificate.NotAfter.ToUniversalTime():yyyy-MM-dd}"));
    }

    private static string Describe(LogPolicy log)
    {
        var commit = log.Commit switch { CommitLevel.Interval => "every " + Quantity.Show(log.Interval), CommitLevel.Strict => "strict", _ => "process" };
        var full = log.WhenFull switch { WhenFull.Block => "block", WhenFull.DropOldest => "drop_oldest", _ => "refuse" };
        return $"commit {commit}, quota {Quantity.Show(log.QuotaBytes)} then {full}";
    }
}
