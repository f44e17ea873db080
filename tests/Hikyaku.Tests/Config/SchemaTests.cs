using System.Text.Json;
using Hikyaku.Config;
using Xunit;

namespace Hikyaku.Tests.Config;

public sealed class SchemaTests
{
    [Fact]
    public void The_schema_for_editors_knows_the_same_keys_as_the_program()
    {
        using var schema = JsonDocument.Parse(File.ReadAllText(Path.Join(Repository(), "docs/hikyaku.schema.json")));
        var root = schema.RootElement;
        var definitions = root.GetProperty("$defs");
        AssertKeys(NativeFile.TopKeys, root);
        AssertKeys(NativeFile.MountKeys, definitions.GetProperty("mount"));
        AssertKeys(NativeFile.ReceiveKeys, root.GetProperty("properties").GetProperty("receive"));
        var listen = root.GetProperty("properties").GetProperty("receive").GetProperty("properties").GetProperty("forward");
        AssertKeys(NativeFile.ListenKeys, listen);
        AssertKeys(SecurityReader.ReceiverTlsKeys, listen.GetProperty("properties").GetProperty("tls"));
        AssertKeys(SecurityReader.UserKeys, listen.GetProperty("properties").GetProperty("users").GetProperty("items"));
        AssertKeys(NativeFile.RouteKeys, definitions.GetProperty("route"));
        AssertKeys(RuleReader.AllowKeys, definitions.GetProperty("allow"));
        AssertKeys(RuleReader.RewriteKeys, definitions.GetProperty("rewrite"));
        AssertKeys(RuleReader.PatternKeys, definitions.GetProperty("pattern").GetProperty("anyOf")[1]);
        AssertKeys(OutputReader.FilterKeys, definitions.GetProperty("route").GetProperty("properties").GetProperty("filter"));
        AssertKeys(RuleReader.BatchKeys, definitions.GetProperty("route").GetProperty("properties").GetProperty("batch"));
        var to = definitions.GetProperty("route").GetProperty("properties").GetProperty("to");
        AssertKeys(NativeFile.OutputKeys, to);
        var forward = to.GetProperty("properties").GetProperty("forward");
        AssertKeys(ForwardReader.Keys, forward);
        AssertKeys(ForwardReader.ServerKeys, definitions.GetProperty("server"));
        AssertKeys(SecurityReader.SenderTlsKeys, forward.GetProperty("properties").GetProperty("tls"));
        AssertKeys(OutputReader.FileKeys, to.GetProperty("properties").GetProperty("file"));
        AssertKeys(OutputReader.RetainKeys, to.GetProperty("properties").GetProperty("file").GetProperty("properties").GetProperty("retain"));
        AssertKeys(OutputReader.PipeKeys, to.GetProperty("properties").GetProperty("pipe"));
    }

    private static void AssertKeys(string[] known, JsonElement described)
    {
        Assert.Equal(known.Order(StringComparer.Ordinal), described.GetProperty("properties").EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
        Assert.False(described.GetProperty("additionalProperties").GetBoolean());
    }

    private static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Join(folder, "Hikyaku.slnx")))
            folder = Path.GetDirectoryName(folder.TrimEnd('/')) ?? throw new InvalidOperationException("not inside the repository");
        return folder;
    }
}
