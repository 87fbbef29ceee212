// What a loss curve shows, before it is drawn as SVG or text. Invariant: what is drawn is finite, and above 0 on a
// logarithmic axis.

/// One line of a chart. Values that cannot be drawn (NaN, infinities, and 0 or less on a logarithmic axis) leave a gap.
public struct ChartSeries: Sendable {
  public struct Point: Sendable, Equatable {
    public var x: Double
    public var y: Double

    public init(x: Double, y: Double) {
      self.x = x
      self.y = y
    }
  }

  public var name: String
  /// The points, in the order in which the line goes through them.
  public var points: [Point]

  public init(name: String, points: [Point]) {
    self.name = name
    self.points = points
  }

  /// Returns the series with each value replaced by the mean of the last `count` that can be drawn, because the losses of
  /// single batches jump about.
  public func smoothed(over count: Int) -> ChartSeries {
    precondition(count > 0, "a mean needs a value")
    var recent: [Double] = []
    var smoothed = self
    for index in points.indices where Axis.isDrawable(points[index].y) {
      recent.append(points[index].y)
      if recent.count > count { recent.removeFirst() }
      smoothed.points[index].y = recent.reduce(0, +) / Double(recent.count)
    }
    return smoothed
  }

  /// Values of consecutive steps.
  public init(name: String, values: [Double], firstStep: Int = 0) {
    self.init(name: name, points: values.enumerated().map { Point(x: Double(firstStep + $0), y: $1) })
  }
}

/// A horizontal line to compare with, such as the unigram entropy of a text.
public struct ChartReference: Sendable {
  public var name: String
  public var value: Double

  public init(name: String, value: Double) {
    self.name = name
    self.value = value
  }
}

/// The drawable parts of the series, and axes around them.
struct CurveFrame {
  /// For each series, pieces without gaps.
  let pieces: [[[ChartSeries.Point]]]
  let references: [ChartReference]
  let x: Axis
  let y: Axis

  var isEmpty: Bool { pieces.allSatisfy(\.isEmpty) }

  init(
    _ series: [ChartSeries], references: [ChartReference], logarithmicY: Bool, tickCounts: (x: Int, y: Int)
  ) {
    pieces = series.map { series in
      series.points.split { point in
        !Axis.isDrawable(point.x) || !Axis.isDrawable(point.y, logarithmic: logarithmicY)
      }.map(Array.init)
    }
    self.references = references.filter { Axis.isDrawable($0.value, logarithmic: logarithmicY) }
    let points = pieces.joined().joined()
    x = Axis(points.lazy.map(\.x), tight: true, tickCount: tickCounts.x)
    y = Axis(
      Array(points.lazy.map(\.y)) + self.references.map(\.value), logarithmic: logarithmicY, tight: false,
      tickCount: tickCounts.y)
  }

  /// Positions of a piece in a plot of `columns` columns: 0...1 to the right and 0...1 upwards.
  ///
  /// Where there are more points than can be told apart, each column keeps its first, lowest, highest and last.
  func places(_ piece: [ChartSeries.Point], columns: Int) -> [(x: Double, y: Double)] {
    let places = piece.map { (x: x.position($0.x), y: y.position($0.y)) }
    guard places.count > 4 * columns else { return places }
    var kept: [(x: Double, y: Double)] = []
    var start = 0
    while start < places.count {
      let column = Int(places[start].x * Double(columns))
      let end = places[start...].firstIndex { Int($0.x * Double(columns)) != column } ?? places.count
      let lowest = (start..<end).min { places[$0].y < places[$1].y }!
      let highest = (start..<end).max { places[$0].y < places[$1].y }!
      kept += Set([start, lowest, highest, end - 1]).sorted().map { places[$0] }
      start = end
    }
    return kept
  }
}
