import { describe, expect, test } from 'vitest';
import { compileTemplate } from '../../../../src/cli/format/template.ts';
import { GoMap, nilList, nilMap, type Struct, stringMap } from '../../../../src/cli/format/value.ts';

const sample: Struct = {
  Id: '289ca1eac04f62f25a57eb6788aed393215fe7413a1d72e5a23a2ac9ca90a272',
  Created: '2026-11-23T22:58:37.518593191Z',
  Path: 'sh',
  Args: ['-c', 'echo hello; sleep 1000'],
  State: { Status: 'running', Running: true, Paused: false, Pid: 23542, ExitCode: 0, Error: '' },
  Image: 'sha256:412bdff557f0f48db8dc432cf52253b8e75fed139ddf23aaab67ef40a4b60fe1',
  LogPath: '/log',
  Name: '/web',
  RestartCount: 0,
  ExecIDs: nilList,
  HostConfig: {
    Binds: ['/tmp:/host:ro', '/srv:/srv'],
    NetworkMode: 'default',
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    CapAdd: nilList,
    Memory: 67108864,
    PidsLimit: null,
    PortBindings: new GoMap([['80/tcp', [{ HostIp: '', HostPort: '8080' }]]], nilList),
    LogConfig: { Type: 'json-file', Config: nilMap },
  },
  Mounts: [
    { Type: 'bind', Source: '/tmp', Destination: '/host', Mode: 'ro', RW: false },
    { Type: 'volume', Name: 'data', Source: '/v/data', Destination: '/data', Mode: '', RW: true },
  ],
  Config: {
    Hostname: '289ca1eac04f',
    Env: ['PATH=/usr/bin:/bin', 'MODE=a&b'],
    Cmd: ['sh', '-c', 'echo hello; sleep 1000'],
    Image: 'busybox',
    Entrypoint: nilList,
    Labels: stringMap({ 'com.example.vendor': 'ACME <inc>', b: '' }),
    ExposedPorts: new GoMap([['80/tcp', {}]], {}),
  },
  NetworkSettings: {
    Ports: new GoMap(
      [
        ['443/tcp', nilList],
        [
          '80/tcp',
          [
            { HostIp: '0.0.0.0', HostPort: '8080' },
            { HostIp: '::', HostPort: '8080' },
          ],
        ],
      ],
      nilList,
    ),
    IPAddress: '172.17.0.2',
    MacAddress: '02:42:ac:11:00:02',
    Networks: new GoMap(
      [
        ['app', { IPAddress: '10.1.0.2', Gateway: '10.1.0.1' }],
        ['bridge', { IPAddress: '172.17.0.2', Gateway: '172.17.0.1' }],
      ],
      null,
    ),
  },
};

function apply(template: string, data: Struct = sample): string {
  return compileTemplate(template, (field) => `map has no entry for key "${field}"`).apply(data);
}

describe('what people paste from answers', () => {
  test.each<[string, string]>([
    ['{{.Name}}', '/web'],
    ['{{ .Name }}', '/web'],
    ['{{.State.Status}}', 'running'],
    ['{{.State.Running}}', 'true'],
    ['{{.State.Pid}}', '23542'],
    ['{{.State.ExitCode}}', '0'],
    ['{{.NetworkSettings.IPAddress}}', '172.17.0.2'],
    ['{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', '10.1.0.2172.17.0.2'],
    ['{{range.NetworkSettings.Networks}}{{.IPAddress}} {{end}}', '10.1.0.2 172.17.0.2 '],
    ['{{range $k, $v := .NetworkSettings.Networks}}{{printf "%s\\n" $k}}{{end}}', 'app\nbridge\n'],
    [
      '{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.Gateway}};{{end}}',
      'app=10.1.0.1;bridge=172.17.0.1;',
    ],
    ['{{.NetworkSettings.Networks.bridge.IPAddress}}', '172.17.0.2'],
    ['{{(index .NetworkSettings.Networks "bridge").IPAddress}}', '172.17.0.2'],
    ['{{with index .NetworkSettings.Networks "bridge"}}{{.Gateway}}{{end}}', '172.17.0.1'],
    ['{{with index .NetworkSettings.Networks "nope"}}{{.Gateway}}{{else}}none{{end}}', 'none'],
    ['{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080'],
    [
      '{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{if $conf}}{{(index $conf 0).HostPort}}{{end}} {{end}}',
      ' 443/tcp ->   80/tcp -> 8080 ',
    ],
    [
      '{{range $p, $conf := .HostConfig.PortBindings}}{{$p}} -> {{(index $conf 0).HostPort}}{{"\\n"}}{{end}}',
      '80/tcp -> 8080\n',
    ],
    [
      '{{json .NetworkSettings.Ports}}',
      '{"443/tcp":null,"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]}',
    ],
    [
      '{{json .Mounts}}',
      '[{"Type":"bind","Source":"/tmp","Destination":"/host","Mode":"ro","RW":false},{"Type":"volume","Name":"data","Source":"/v/data","Destination":"/data","Mode":"","RW":true}]',
    ],
    ['{{json .State.Running}}', 'true'],
    ['{{json .Config.Labels}}', '{"b":"","com.example.vendor":"ACME <inc>"}'],
    ['{{json .HostConfig.CapAdd}} {{json .HostConfig.LogConfig}}', 'null {"Type":"json-file","Config":null}'],
    ['{{range .Mounts}}{{println .Source "->" .Destination}}{{end}}', '/tmp -> /host\n/v/data -> /data\n'],
    ['{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}}{{end}}{{end}}', 'data'],
    ['{{ range .Mounts }}{{ .Type }}:{{ .Source }} {{ end }}', 'bind:/tmp volume:/v/data '],
    ['{{range .Config.Env}}{{println .}}{{end}}', 'PATH=/usr/bin:/bin\nMODE=a&b\n'],
    ['{{join .Config.Env "\\n"}}', 'PATH=/usr/bin:/bin\nMODE=a&b'],
    ['{{.Config.Env}}', '[PATH=/usr/bin:/bin MODE=a&b]'],
    ['{{index .Config.Env 0}}', 'PATH=/usr/bin:/bin'],
    ['{{join .Config.Cmd " "}}', 'sh -c echo hello; sleep 1000'],
    ['{{.Path}} {{join .Args " "}}', 'sh -c echo hello; sleep 1000'],
    ['{{ index .Config.Labels "com.example.vendor"}}', 'ACME <inc>'],
    ['{{index .Config.Labels "nope"}}|{{.Config.Labels.nope}}', '|<no value>'],
    ['{{range $k,$v := .Config.Labels}}{{$k}}={{$v}},{{end}}', 'b=,com.example.vendor=ACME <inc>,'],
    ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
    ['{{if .State.Paused}}paused{{else if .State.Running}}running{{else}}other{{end}}', 'running'],
    ['{{if and .State.Running (not .State.Paused)}}ok{{end}}', 'ok'],
    ['{{if or .State.Paused (eq .State.Status "exited" "running")}}yes{{end}}', 'yes'],
    ['{{if ne .State.ExitCode 0}}failed{{else}}fine{{end}}', 'fine'],
    ['{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}', 'no:0'],
    ['{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.ExecIDs}}', '67108864 <nil> []'],
    ['{{.HostConfig.Binds}}', '[/tmp:/host:ro /srv:/srv]'],
    ['{{len .Mounts}} {{len .Name}} {{len .Config.Labels}}', '2 4 2'],
    ['{{upper .Config.Image}} {{lower "ABC"}} {{title "docker inspect"}}', 'BUSYBOX abc Docker Inspect'],
    ['{{slice .Id 0 12}} {{truncate .Id 12}} {{printf "%.12s" .Id}}', '289ca1eac04f 289ca1eac04f 289ca1eac04f'],
    ['{{index (split .Image ":") 1 | printf "%.6s"}}', '412bdf'],
    ['{{.Created | printf "%.10s"}}', '2026-11-23'],
    ['{{printf "%-10s|%5d|%05d|%x" .Config.Image .State.Pid 42 255}}', 'busybox   |23542|00042|ff'],
    ['{{.Name | printf "%q"}} {{print .Path .Args}}', '"/web" sh[-c echo hello; sleep 1000]'],
    ['{{.State}}', '{running true false 23542 0 }'],
    ['{{.Config.ExposedPorts}}', 'map[80/tcp:{}]'],
    ['{{range $i, $e := .Args}}{{if $i}}, {{end}}{{$e}}{{end}}', '-c, echo hello; sleep 1000'],
    ['{{range .ExecIDs}}x{{else}}none{{end}}', 'none'],
    ['{{$id := slice .Id 0 4}}{{with .State}}{{$.Name}} {{$id}} {{.Pid}}{{end}}', '/web 289c 23542'],
    ['{{- /* a comment */ -}}  {{.Name}}  {{- " x" -}}  y', '/web xy'],
    ['{{index .State "Status"}}', 'running'],
    ['{{range $k, $v := .HostConfig.RestartPolicy}}{{$k}}={{$v}} {{end}}', 'MaximumRetryCount=0 Name=no '],
    ['{{.NetworkSettings.Networks.nope.IPAddress}}', '<no value>'],
    ['{{pad "x" 2 1}}| {{html "<a href=\'x\'>"}} {{urlquery "a b&c"}}', '  x | &lt;a href=&#39;x&#39;&gt; a+b%26c'],
    ['{{gt (len .Mounts) 1}} {{lt 1 2}} {{le 2 2}} {{ge 1 2}}', 'true true true false'],
    ['{{range .Args}}{{if eq . "-c"}}{{continue}}{{end}}{{.}}{{break}}{{end}}', 'echo hello; sleep 1000'],
    ['{{define "line"}}<{{.Type}}>{{end}}{{range .Mounts}}{{template "line" .}}{{end}}', '<bind><volume>'],
    ['{{$n := 0}}{{range .Mounts}}{{$n = len .Source}}{{end}}{{$n}}', '7'],
    ['{{"tab\\tnew"}} {{`raw\\t`}} {{\'a\'}} {{0x1F}} {{-3}}', 'tab\tnew raw\\t 97 31 -3'],
    [
      '{{slice .ID 0 4}} {{range (index .HostConfig.PortBindings "80/tcp")}}{{.HostIP}}:{{.HostPort}}{{end}}',
      '289c :8080',
    ],
    ['plain text', 'plain text'],
    ['', ''],
  ])('%s', (template, expected) => {
    expect(apply(template)).toBe(expected);
  });
});

describe('what is wrong is said as text/template says it', () => {
  test.each<[string, string]>([
    ['{{.Foo}}', ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"'],
    ['{{.State.Health.Status}}', ':1:8: executing "" at <.State.Health.Status>: map has no entry for key "Health"'],
    ['a\nb {{.Nope}}', ':2:4: executing "" at <.Nope>: map has no entry for key "Nope"'],
    ['{{.state.status}}', ':1:8: executing "" at <.state.status>: map has no entry for key "state"'],
    ['{{.State.Status', ':1: unclosed action'],
    ['{{/* x', ':1: unclosed comment'],
    ['{{.Name | foo}}', ':1: function "foo" not defined'],
    ['{{foo}}', ':1: function "foo" not defined'],
    ['{{end}}', ':1: unexpected {{end}}'],
    ['{{else}}', ':1: unexpected {{else}}'],
    ['{{if}}x{{end}}', ':1: missing value for if'],
    ['{{}}', ':1: missing value for command'],
    ['{{if true}}', ':1: unexpected EOF'],
    ['{{range .Mounts}}', ':1: unexpected EOF'],
    ['{{.Name}', ":1: bad character U+007D '}'"],
    ['{{$x}}', ':1: undefined variable "$x"'],
    ['{{"abc}}', ':1: unterminated quoted string'],
    ['{{`abc}}', ':1: unterminated raw quoted string'],
    ['{{@}}', ':1: unexpected "@" in command'],
    ['{{(.Name}}', ':1: unclosed left paren'],
    ['{{.Name)}}', ':1: unexpected right paren'],
    ['{{break}}', ':1: {{break}} outside {{range}}'],
    ['{{.Name | 3}}', ':1: non executable command in pipeline stage 2'],
    ['{{index .Args 9}}', ':1:2: executing "" at <index .Args 9>: error calling index: index out of range: 9'],
    [
      '{{index .Args "a"}}',
      ':1:2: executing "" at <index .Args "a">: error calling index: cannot index slice/array with type string',
    ],
    [
      '{{(index (index .NetworkSettings.Ports "81/tcp") 0).HostPort}}',
      ':1:3: executing "" at <index (index .NetworkSettings.Ports "81/tcp") 0>: error calling index: index of untyped nil',
    ],
    ['{{len 3}}', ':1:2: executing "" at <len 3>: error calling len: len of type int'],
    ['{{range .Name}}{{end}}', ':1:8: executing "" at <.Name>: range can\'t iterate over /web'],
    ['{{.Name.Foo}}', ':1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type string'],
    ['{{eq 1 "a"}}', ':1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison'],
    [
      '{{eq .Args .Args}}',
      ':1:2: executing "" at <eq .Args .Args>: error calling eq: non-comparable type [-c echo hello; sleep 1000]: []interface {}',
    ],
    ['{{eq}}', ':1:2: executing "" at <eq>: wrong number of args for eq: want at least 1 got 0'],
    ['{{not}}', ':1:2: executing "" at <not>: wrong number of args for not: want 1 got 0'],
    ['{{join .Name ","}}', ':1:7: executing "" at <.Name>: wrong type for value; expected []string; got string'],
    ['{{nil}}', ':1:2: executing "" at <nil>: nil is not a command'],
    ['{{template "x"}}', ':1:11: executing "" at <{{template "x"}}>: template "x" not defined'],
    ['{{.Name .Id}}', ':1:2: executing "" at <.Name>: Name has arguments but cannot be invoked as function'],
    ['{{"a" "b"}}', ':1:2: executing "" at <"a">: can\'t give argument to non-function "a"'],
  ])('%s', (template, expected) => {
    expect(() => apply(template)).toThrow(`template: ${expected}`);
  });

  test('a template that calls itself ends', () => {
    expect(() => apply('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}')).toThrow('maximum template depth');
  });
});

describe('headers of tables', () => {
  const titles = { Names: 'NAMES', ID: 'CONTAINER ID', Label: (name: unknown) => String(name) };
  const header = (template: string): string => compileTemplate(template, (f) => f).header(titles);

  test('fields are their titles, and docker’s functions change nothing', () => {
    expect(header('{{.Names}}\t{{upper .ID}}|{{json .Names}}|{{truncate .ID 3}}')).toBe(
      'NAMES\tCONTAINER ID|NAMES|CONTAINER ID',
    );
    expect(header('{{.Label "a.b"}}')).toBe('a.b');
  });

  test('what cannot be a header is empty', () => {
    expect(header('{{range .Names}}x{{end}}')).toBe('');
  });
});

test('methods take arguments, and fields can be costly', () => {
  let computed = 0;
  const row: Struct = {
    Label: (name) => `<${String(name)}>`,
    get Size() {
      computed++;
      return '1MB';
    },
    Name: 'x',
  };
  expect(apply('{{.Label "a"}} {{.Name}}', row)).toBe('<a> x');
  expect(computed).toBe(0);
  expect(apply('{{.Size}}', row)).toBe('1MB');
  expect(computed).toBe(1);
  expect(() => apply('{{.Label}}', row)).toThrow('wrong number of args for Label: want 1 got 0');
});
