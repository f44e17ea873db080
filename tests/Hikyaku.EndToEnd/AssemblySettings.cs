using Xunit;

// Two cores, real kills and a full load: one test at a time says more than several at once.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
