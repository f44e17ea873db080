namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The mode "rotate": bench/compare/rotate builds everything and comes here.</summary>
internal static class RotateCommand
{
    public static int Run(string[] args)
    {
        if (RotationOptions.Parse(args) is not { } options)
        {
            Console.Error.WriteLine(RotationOptions.Usage);
            return 2;
        }

        return CompareCommand.Run(stop => new RotationRun(options, stop).Run());
    }
}
