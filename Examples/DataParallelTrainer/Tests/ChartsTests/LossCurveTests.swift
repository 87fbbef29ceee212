import Testing

@testable import Charts

@Suite struct LossCurveTests {
  private static let falling = ChartSeries(name: "training", values: (0..<100).map { 2.3 / (1 + Double($0) / 10) })
  private static let hostile = "a<b> & \"c\" 'd' \u{0}\u{1B}[31m 😀"

  @Test(arguments: [false, true]) func curvesAreWellFormed(logarithmic: Bool) {
    let other = ChartSeries(name: "validation", values: [2, 1.5, 1.2], firstStep: 10)
    let svg = lossCurveSVG(
      series: [LossCurveTests.falling, other], references: [ChartReference(name: "unigram", value: 1.7)],
      logarithmicY: logarithmic)
    let parsed = ParsedXML(svg)
    #expect(parsed.counts["polyline"] == 2 && !parsed.hasBadNumbers)
    #expect(["Loss", "training", "validation", "unigram", "step", "0"].allSatisfy(parsed.texts.contains))
  }

  @Test func namesAreEscaped() {
    let name = LossCurveTests.hostile
    let parsed = ParsedXML(
      lossCurveSVG(
        series: [ChartSeries(name: name, values: [1, 2])], title: name, references: [.init(name: name, value: 1)]))
    #expect(parsed.texts.count { $0 == "a<b> & \"c\" 'd'   [31m 😀" } == 4)
  }

  @Test(
    arguments: [
      [] as [Double], [Double.nan], [Double.infinity, -Double.infinity, Double.nan], [1.5], [1.5, .nan], [0, 0, 0],
      [-1e99, 1e99], [1e308, 2], [Double.leastNonzeroMagnitude, 1],
      [1, Double.nan, 2, 3, Double.infinity, 0, -1, 4],
    ], [false, true])
  func oddValuesAreDrawnOrLeftOut(values: [Double], logarithmic: Bool) {
    let series = [ChartSeries(name: "odd", values: values)]
    let parsed = ParsedXML(lossCurveSVG(series: series, logarithmicY: logarithmic))
    #expect(!parsed.hasBadNumbers)
    let drawable = values.filter { Axis.isDrawable($0, logarithmic: logarithmic) }
    #expect(parsed.texts.contains("nothing to draw") == drawable.isEmpty)
    for style in [TextStyle.unicode, .ascii] {
      let text = lossCurveText(series: series, logarithmicY: logarithmic, style: style)
      #expect(text.contains("nothing to draw") == drawable.isEmpty)
      #expect(!text.contains("nan") && !text.contains("inf"))
    }
  }

  @Test func gapsStayGaps() {
    let parsed = ParsedXML(lossCurveSVG(series: [ChartSeries(name: "", values: [1, .nan, 2, 3, .infinity, 4, 5])]))
    #expect(parsed.counts["polyline"] == 2 && parsed.counts["circle"] == 1)
  }

  @Test func meansAreOfTheLastValues() {
    let smoothed = ChartSeries(name: "", values: [4, 2, .nan, 6, 10]).smoothed(over: 2)
    #expect(smoothed.points.map(\.y).description == "[4.0, 3.0, nan, 4.0, 8.0]")
  }

  @Test func noSeriesAtAll() {
    #expect(ParsedXML(lossCurveSVG(series: [])).texts.contains("nothing to draw"))
    #expect(lossCurveText(series: []).contains("nothing to draw"))
  }

  /// A run of a million steps is no larger a picture, and its peaks are still there.
  @Test func longRunsAreThinnedButKeepTheirExtremes() {
    var values = (0..<1_000_000).map { 1 + 1 / Double($0 + 1) }
    values[500_000] = 9
    let frame = CurveFrame(
      [ChartSeries(name: "", values: values)], references: [], logarithmicY: false, tickCounts: (x: 8, y: 6))
    let places = frame.places(frame.pieces[0][0], columns: 700)
    #expect(places.count <= 4 * 701)
    #expect(places.contains { $0.y == frame.y.position(9) } && places.last!.x == 1)
  }

  @Test func textFitsItsColumns() {
    for style in [TextStyle.unicode, .ascii] {
      for count in 1...3 {
        let text = lossCurveText(
          series: Array(repeating: LossCurveTests.falling, count: count), title: "Loss",
          references: [ChartReference(name: "unigram entropy", value: 1.2)], width: 72, height: 16, style: style)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.count <= 72 })
        // Title, rows, frame, steps, a line for each name, and the end.
        #expect(lines.count == 1 + 16 + 2 + count + 1 + 1)
        #expect(style == .unicode || text.allSatisfy(\.isASCII))
      }
    }
  }

  /// The whole chart, as a person checked it once.
  @Test func asciiChartIsTheKnownOne() {
    let series = ChartSeries(name: "loss", values: [4, 3, 2, 1, 0])
    #expect(lossCurveText(series: [series], width: 23, height: 5, style: .ascii) == LossCurveTests.knownChart)
  }

  private static let knownChart = """
    4 +***
      |   *****
    2 +        ****
      |            *****
    0 +                 ***
      +--------------------
       0    1    2   3    4
       * loss

    """

  @Test func ticksAreNiceNumbers() {
    func ticks(_ low: Double, _ high: Double) -> [Double] { Axis([low, high], tight: true, tickCount: 5).ticks }
    #expect(ticks(0, 10) == [0, 2, 4, 6, 8, 10])
    #expect(ticks(0, 99) == [0, 20, 40, 60, 80])
    let axis = Axis([0.13, 2.29], tight: false, tickCount: 5)
    #expect((axis.lower, axis.upper) == (0, 2.5) && axis.ticks.map(axis.label) == ["0", "0.5", "1.0", "1.5", "2.0", "2.5"])
    let powers = Axis([0.01, 100], logarithmic: true, tight: false, tickCount: 8)
    #expect(powers.ticks.map(powers.label) == ["0.01", "0.1", "1", "10", "100"])
    let losses = Axis([0.3, 2.3], logarithmic: true, tight: false, tickCount: 6)
    #expect(losses.ticks.map(losses.label) == ["0.5", "1", "2"])
  }

  /// Any range gives a bounded number of ticks, inside it, in order.
  @Test func ticksAreBoundedForAnyRange() {
    var random = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: 0 ... .max, using: &random)
    var state = seed
    func next() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let exponent = Double(Int(state >> 40) % 221) - 110
      return (Double(state >> 20 & 0xFFFF) / 65536 - 0.5) * exp10(exponent)
    }
    for _ in 0..<2000 {
      let values = [next(), next()].filter { Axis.isDrawable($0) }
      for logarithmic in [false, true] {
        let drawable = values.filter { Axis.isDrawable($0, logarithmic: logarithmic) }
        let axis = Axis(drawable, logarithmic: logarithmic, tight: false, tickCount: 6)
        #expect(axis.lower < axis.upper && axis.ticks.count <= 30, "seed \(seed): \(drawable)")
        #expect(axis.ticks == axis.ticks.sorted(), "seed \(seed): \(drawable)")
        #expect(drawable.allSatisfy { (-1e-9...1 + 1e-9).contains(axis.position($0)) }, "seed \(seed): \(drawable)")
      }
    }
  }

  private func exp10(_ exponent: Double) -> Double {
    exponent < 0 ? 1 / exp10(-exponent) : (0..<Int(exponent)).reduce(1) { x, _ in x * 10 }
  }
}
