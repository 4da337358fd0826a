// Where the scenes of a map stand: columns are steps of the story, rows are ways. Pure, in one pass over the scenes.
//
// A way is a scene, its first child, that one's first child and so on: it lies in one row. The other children begin rows
// of their own below, in the first row that is free in all the columns they need. Ways are laid from their end to their
// beginning, and a scene that branches keeps its column free down to its last branch: so no line ever crosses another.

function layTree(scenes) {
  const kids = scenes.map(() => []);
  const column = new Array(scenes.length);
  const row = new Array(scenes.length).fill(0);
  const length = new Array(scenes.length).fill(1); // of the way that begins here
  const beginnings = [];
  scenes.forEach((one, at) => {
    if (one.parent < 0) beginnings.push(at);
    else kids[one.parent].push(at);
    column[at] = one.parent < 0 ? 0 : column[one.parent] + 1;
  });
  for (let at = scenes.length - 1; at >= 0; at--) if (kids[at].length) length[at] = 1 + length[kids[at][0]];

  const free = new Array(Math.max(0, ...column) + 2).fill(0); // the first row that is free in each column
  function lay(first) {
    let at_row = 0;
    for (let c = column[first]; c < column[first] + length[first]; c++) at_row = Math.max(at_row, free[c]);
    const way = [];
    for (let at = first; at !== undefined; at = kids[at][0]) {
      row[at] = at_row;
      free[column[at]] = at_row + 1;
      way.push(at);
    }
    return way;
  }

  const waiting = []; // ways that are laid, with how far their branches are
  const begin = (first) => {
    const way = lay(first);
    waiting.push({ way, at: way.length - 1, child: 1 });
  };
  for (const first of beginnings) {
    begin(first);
    while (waiting.length) {
      const top = waiting[waiting.length - 1];
      const scene = top.way[top.at];
      if (scene === undefined) waiting.pop();
      else if (top.child >= kids[scene].length) [top.at, top.child] = [top.at - 1, 1];
      else {
        const branch = kids[scene][top.child++];
        begin(branch);
        free[column[scene]] = Math.max(free[column[scene]], row[branch] + 1);
      }
    }
  }
  return { kids, column, row, columns: Math.max(0, ...column) + 1, rows: Math.max(0, ...row) + 1, ways: kids.filter((own) => !own.length).length };
}
