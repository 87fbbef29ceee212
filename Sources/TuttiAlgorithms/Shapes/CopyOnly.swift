import TuttiSchedule

/// The schedule of any collective of a single rank, whose input is the result.
func copyOnly(_ collective: Collective) -> Schedule {
  var program = ScheduleBuilder(collective, for: .flat(rank: 0, rankCount: 1), chunkCount: 1)
  program.copy([.output(0)], from: [.input(0)])
  return program.finish()
}
