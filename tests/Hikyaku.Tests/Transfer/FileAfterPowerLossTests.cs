using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class FileAfterPowerLossTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-file-").FullName;
    private readonly List<string> _reports = [];

    private string OutputPath => Path.Combine(_root, "out", "all.log");

    [Fact]
    public async Task A_chunk_whose_file_was_new_when_the_power_went_stands_once_however_often_it_is_repeated()
    {
        var disk = new PoweredDisk();
        var note = new ByteBuffer();
        await using (var output = Output(disk))
        {
            var chunk = output.TryBegin([])!;
            Fill(chunk);
            Assert.True(chunk.TryWriteNote(note));
        }

        disk.LosePower();
        // So that another one is not taken for the one that is gone.
        File.WriteAllText(OutputPath + ".other", "");
        // Killed before the journal knows that it is done, and then not.
        for (var life = 0; life < 2; life++)
        {
            await using var output = Output(disk);
            var chunk = output.TryBegin(note.Written)!;
            Fill(chunk);
            output.Deliver(chunk, 1);
            Assert.True(chunk.Done);
        }

        Assert.Equal("1\n2\n3\n", File.ReadAllText(OutputPath));
        Assert.Empty(_reports);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private FileOutput Output(PoweredDisk disk)
    {
        var output = new FileOutput(new FileOutputSettings(OutputPath), "log/pump", new FileGate(), disk, sync: true, isTorn: false, TimeZoneInfo.Utc, TimeProvider.System, _reports.Add);
        output.EndRepeating();
        return output;
    }

    private static void Fill(Hikyaku.Transfer.Delivery.Chunk chunk)
    {
        var source = new LineSource("host"u8.ToArray(), "path"u8.ToArray(), 0, 0);
        foreach (var line in new[] { "1", "2", "3" })
            chunk.Add(new LineBlock(source, 0, Encoding.UTF8.GetBytes(line)));
    }
}
