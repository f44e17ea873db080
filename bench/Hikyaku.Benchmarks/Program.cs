using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Hikyaku.Benchmarks;
using Hikyaku.Benchmarks.Comparison;

// check [LINES]: allocations against the committed numbers, in seconds; anything else is for BenchmarkDotNet (--list flat, --filter '*Append*').
if (args is ["check", ..])
    return AllocationCheck.Run(args.Length > 1 ? int.Parse(args[1]) : 20_000, Console.Out) ? 0 : 1;

if (args is [var name, .. var rest] && Commands.Run(name, rest) is { } code)
    return code;

// In this process: a project generated beside this one would have to be built without this repository's settings.
var config = DefaultConfig.Instance
    .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance))
    .AddDiagnoser(MemoryDiagnoser.Default);
BenchmarkSwitcher.FromAssembly(typeof(LineBenchmark).Assembly).Run(args, config);
return 0;
