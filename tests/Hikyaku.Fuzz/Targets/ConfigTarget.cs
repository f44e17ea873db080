using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Hikyaku.Commands;
using Hikyaku.Config;
using Hikyaku.Fuzz.Inputs;
using Hikyaku.Supervision;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// Configuration files, ours and K2HFTFUSE's, through what "hikyaku check" runs. It ends with a configuration, from which everything can be
/// made that is made of one at the start, or with problems that each name a place in the file, and never with an exception.
/// </summary>
internal sealed partial class ConfigTarget : FuzzTarget
{
    private readonly string _file = Path.Combine(Directory.CreateTempSubdirectory("hikyaku-fuzz-config-").FullName, "c.yaml");

    public ConfigTarget() => AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(Path.GetDirectoryName(_file)!, recursive: true);

    public override string Name => "config";

    public override int SmokeRounds => 2_000;

    public override byte[] Make(Dice dice) => Encoding.UTF8.GetBytes(ConfigTexts.Make(dice));

    public override void Run(byte[] input)
    {
        File.WriteAllBytes(_file, input);
        Load(null);
        Load("/mnt/apache");
    }

    private void Load(string? mountPoint)
    {
        Settings settings;
        try
        {
            settings = ConfigurationFile.Load(_file, mountPoint);
        }
        catch (ConfigurationException e)
        {
            Check(e.Messages);
            return;
        }
        CheckCommand.Describe(settings, TextWriter.Null);
        foreach (var route in TransferChild.Translate(settings, settings.Mounts.ToDictionary(m => m.Name, _ => new MountEnds(-1))).Routes)
        {
            _ = new PathMatch(route.Match, route.Rules.Except).Matches("a/b.log"u8);
            _ = LineRules.Of(route.Rules);
            if (route.File is { } file)
                _ = new LineFormat(file.Format, file.Time, TimeZoneInfo.Utc);
        }
        foreach (var name in settings.Mounts.Select(m => m.Name).Append("receive"))
            _ = InstancePaths.Pumps(settings, name);
    }

    private void Check(IReadOnlyList<string> messages)
    {
        BrokenPromise.Unless(messages.Count > 0, "a refusal says what is wrong");
        var text = File.ReadAllText(_file);
        var lines = LineEnd().Count(text) + 1;
        foreach (var message in messages)
        {
            BrokenPromise.Unless(message.StartsWith(_file + ":", StringComparison.Ordinal), $"a problem names its file: {message}");
            var place = Place().Match(message, _file.Length);
            // What is wrong with the file as a whole is the only thing said.
            if (!place.Success)
                BrokenPromise.Unless(messages.Count == 1, $"one of several problems names no line: {message}");
            else
                BrokenPromise.Unless(
                    int.Parse(place.Groups[1].ValueSpan, CultureInfo.InvariantCulture) is var line && line >= 1 && line <= lines
                    && int.Parse(place.Groups[2].ValueSpan, CultureInfo.InvariantCulture) >= 1,
                    $"the file has {lines} lines: {message}");
        }
    }

    // What YAML takes for the end of a line.
    [GeneratedRegex("\r\n|[\r\n\u0085\u2028\u2029]")]
    private static partial Regex LineEnd();

    [GeneratedRegex(@"\G:(\d+):(\d+): ")]
    private static partial Regex Place();
}
