using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>Files that are written straight to the disk, and what they grow by carried all the same.</summary>
public sealed class PassthroughTests(ITestOutputHelper output)
{
    private const string All = "passthrough: '*'";

    [MountFact]
    public void What_writers_write_arrives()
    {
        using var scene = new Scene();
        var street = new Street(scene, All).Open();

        var result = Load.Start(scene, street.MountPoint, writers: 4, lines: 100_000).Wait();

        Load.AssertArrived(scene, result, street.Output);
        AssertPassed(street, result.Bytes);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        output.WriteLine($"{result.LinesPerSecond:0} lines a second");
    }

    private static void AssertPassed(Street street, long bytes) =>
        Eventually.Is(() => Passed(street, "bytes") >= bytes, $"{bytes} bytes passed", street.Scene.Report);

    private static long Passed(Street street, string what)
    {
        var status = street.Scene.RunHikyaku("status", "-c", street.AgentFile, "--json");
        using var json = System.Text.Json.JsonDocument.Parse(status.Output);
        return json.RootElement.GetProperty("mounts")[0].TryGetProperty("passthrough", out var passed) && passed.ValueKind is System.Text.Json.JsonValueKind.Object
            ? passed.GetProperty(what).GetInt64() : 0;
    }
}
