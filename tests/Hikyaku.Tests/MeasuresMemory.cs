using Xunit;

namespace Hikyaku.Tests;

/// <summary>Tests that look at the memory of the whole process run while no others do.</summary>
[CollectionDefinition(nameof(MeasuresMemory), DisableParallelization = true)]
public sealed class MeasuresMemory;
