using Hikyaku.Config;
using Hikyaku.Config.K2hftfuse;
using Xunit;

namespace Hikyaku.Tests.Config.K2hftfuse;

public sealed class ConversionTests
{
    // The three files of a sender say the same, in the three forms.
    [Theory]
    [InlineData("sender.yaml", "/home/apache/logs", "sender.native.yaml")]
    [InlineData("sender.json", "/home/apache/logs", "sender.native.yaml")]
    [InlineData("sender.ini", "/home/apache/logs", "sender.native.yaml")]
    [InlineData("collector.yaml", null, "collector.native.yaml")]
    [InlineData("relay.ini", null, "relay.native.yaml")]
    public void A_file_of_K2HFTFUSE_becomes_the_native_file_that_means_the_same(string file, string? mountPoint, string native)
    {
        var converted = Convert(file, mountPoint);
        Assert.Equal(File.ReadAllText(Sample(native)), converted);
    }

    // The folder of the samples stands for where the file lay.
    private static string Convert(string file, string? mountPoint)
    {
        var problems = new Problems(file);
        var root = K2hftfuseFile.Convert(File.ReadAllText(Sample(file)), Sample(file), mountPoint, problems, out var notices);
        problems.ThrowIfAny();
        return string.Concat(notices.Select(n => $"# {n}\n")).Replace(file, "FILE", StringComparison.Ordinal)
            + NativeText.Write(root!).Replace(Path.GetDirectoryName(Sample(file))! + "/", "/FOLDER/", StringComparison.Ordinal);
    }

    private static string Sample(string file) => Path.Combine(Repository.Root, "tests/Hikyaku.Tests/Config/K2hftfuse", file);
}
