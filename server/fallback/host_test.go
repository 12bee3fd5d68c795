package fallback

import "testing"

func TestAppName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"x-default.apps.test": "x-default", "X-Default.Apps.TEST": "x-default", "x-default.apps.test:8080": "x-default",
		"x-default.apps.test.": "x-default", "x-default.apps.test.:80": "x-default", "x-my-space.apps.test": "x-my-space",
		"1-2.apps.test": "1-2",

		"": "", "apps.test": "", ".apps.test": "", "x.apps.test": "", "-x.apps.test": "", "x-.apps.test": "", "a.x-default.apps.test": "",
		"x-default": "", "x-default.apps.test.evil": "", "x-defaultapps.test": "", "x-default.other": "", "x_default.apps.test": "",
		"[::1]:80": "", "::1": "", "127.0.0.1:80": "", "x-default.apps.test:80:80": "", "x-deﬀault.apps.test": "",
		"x-default..apps.test": "", "x-default.apps.test..": "", "x-default/.apps.test": "", "x-default\x00.apps.test": "",
		"abcdefghijklmnop-12345678.apps.test": "", "abcdefghijklmnop-1234567.apps.test": "abcdefghijklmnop-1234567",
		"6f1f9f5e-58cc-4372-a567-0e02b2c3d479.apps.test": "",
	} {
		got, ok := appName(host, "Apps.test")
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q %t, want %q", host, got, ok, want)
		}
	}
}

func FuzzAppName(f *testing.F) {
	f.Add("x-default.apps.test:80")
	f.Fuzz(func(t *testing.T, host string) {
		if name, ok := appName(host, "apps.test"); ok && !namePattern.MatchString(name) {
			t.Errorf("%q gave %q", host, name)
		}
	})
}
