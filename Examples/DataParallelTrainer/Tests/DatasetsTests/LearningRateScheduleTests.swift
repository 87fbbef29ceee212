import Datasets
import Testing

@Suite struct LearningRateScheduleTests {
  @Test func constantStays() {
    #expect([0, 1, 1_000_000].allSatisfy { LearningRateSchedule.constant(0.1).rate(step: $0) == 0.1 })
  }

  @Test func warmsUpThenFallsAlongACosine() {
    let schedule = LearningRateSchedule.warmupCosine(peak: 1, warmupSteps: 10, totalSteps: 110, final: 0.1)
    #expect(abs(schedule.rate(step: 0) - 0.1) < 1e-15)
    #expect(schedule.rate(step: 9) == 1)
    #expect(schedule.rate(step: 10) == 1)
    #expect(abs(schedule.rate(step: 60) - 0.55) < 1e-12)
    #expect(schedule.rate(step: 110) == 0.1 && schedule.rate(step: 5000) == 0.1)
    let rates = (0...120).map(schedule.rate)
    #expect(zip(rates[..<9], rates[1..<10]).allSatisfy { $0 < $1 })
    #expect(zip(rates[10..<110], rates[11...110]).allSatisfy { $0 > $1 })
  }

  @Test func noWarmUpAndNothingButWarmUp() {
    #expect(LearningRateSchedule.warmupCosine(peak: 2, warmupSteps: 0, totalSteps: 4).rate(step: 0) == 2)
    #expect(LearningRateSchedule.warmupCosine(peak: 2, warmupSteps: 4, totalSteps: 4).rate(step: 3) == 2)
    #expect(LearningRateSchedule.warmupCosine(peak: 2, warmupSteps: 4, totalSteps: 4).rate(step: 4) == 0)
    #expect(LearningRateSchedule.warmupCosine(peak: 2, warmupSteps: 0, totalSteps: 0).rate(step: 0) == 0)
  }
}
