package salesforcetest

import "github.com/golang-jwt/jwt/v5"

// The credentials of the sandbox org. They open nothing else.
const (
	ClientID     = "3MVG9sandboxClientOfNothingElse00000000000000000000000000000000000000000000000000000"
	ClientSecret = "8D1F5E0A33B24C6E9F7A5B1C0D2E4F68A9B7C5D3E1F0A2B4C6D8E0F1A3B5C7D9"
	Username     = "integration@example.com"
	// PrivateKey is the RSA key of the app's certificate.
	PrivateKey = `-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCTVBRrz3sW/X2u
IqiJkV92ddk5sylcWMzdUnDbqQiLP8mqRu8J7FPin48Yc2X9Sl0lZFo26PCLd2NB
wRgYnjlgdQyNG0wbcUTd8afECro1mhDpzx17lwYwID8vZqqvpFA9zhtpiLXp4Rox
/KQMAVUmR37+V4mm6q/F/KiiRZNB03fGvTjq8VqF2NgmjvEi66idqPDA9ALEQwSn
TpEQh0TqxBEGHCKBaFRYLKle8Z+1jUqo2OOx+NNXvhKu7V0HzrX1QGkpZXEVnwrB
7BA1SyU0DWkQl7A80nxliN+vk4sF3La939g/bwIKO/LawxFAUPpSXslaEAKr3oez
NXcoOkm5AgMBAAECggEACZbosF7EJoov5sh7O18SvWFs1vheKhRem05NKcMOGxA3
FmYBE56GFENp+z+xpQO03eTzCU1usMk/1O0WXi3YUrqzqzCaatPb1W1wC87d8XS6
gpl4VA3PuYyzyChQ1ldl4Kv8dUlQe+1quNO2stBYZEI1liUJAOwYLlUkfdF1BQz/
HRqGk92jnBbfIZvLsrMS6OQuZsZ22JCKYha+xsU6nClGoOtw/P2GDXsLSrFr3k6L
CP5s9IIrzM3FhZeLk9rMySBxi1+5nE/9s6k+tXsgwLocexZ3YyvaihtwuOZeQ0np
HXStC2YodrmuBuXbsX42ZInK23hA5M/kaIMruHxsjQKBgQDIC+rBAFd4Zs3DYaBq
KrxPzS715yrFkRKK3wk1I6O60Nfh4S5Nbq0lCaHksUTUGIup5ApAw1qu6KyxJP/E
hpfRhrPLulbhmEPkze37/rAVrB5d745aDVpB67qHkHkcbhXJCxSMOp+V21+wevz6
fpufTWp22cAJBL5K5zPvTf0i/QKBgQC8iVkgYQ21qwJtEH4Lbud1vh9AuS1ZKgtQ
3FpAbGp4eqPlb8p5qaIFlSQ0dAUSFbKV46QiqJM7QVlJc6jH4Dy4W1TWdP86Z3XS
uJkR7yuOxFwiasfN18a+Hc626+ROPIwL8Bweih3h9yE6nN+xpNU22La5rXr/ZSeT
ao4oKuM0bQKBgG3D3DO6dERkZFLoppSajmlbNIFJLnbpezsn1m2J+LTxEwOmAzoJ
mIfSGTra6eFW9otpzRZsGr4OfXNV0eGL2JHnT5Bh1npCij5poEO9I/FAWAlDAOD4
oqW5KshnxYyL+vgtVED9icM4c/DqCxWHkux+FgTQxkYsjB2dbynHqTYhAoGAX66k
2NXoi0YamRdBoLPMK+ktGz/fT90SmRr7gq6C6lnzS8GMVGpOm96w3R30ZNU2KPO6
nQxIjE4B7lEQWz/mEPno+F2wGgfft+2PYZar2Gy3BZCDjmfvqRSfkB3vY/U+beCR
pL4bpE4zQvfSXul0e71IHrt4LJ09lIcDVkdNv5ECgYBnWFQEKKUTYO962OGzTtr+
kuUnBK0r7ectL6tyF/OmmhU4IT8SO19QIMXMj4nqLbMRtAEvw2Ae1rtsC8SoeJdK
ofFEcpG/pIriJGHZqI0w9jZAmsJ46KftNUg+srEhqS6VuyzaLYee+dAOOH7KPQ+X
mgZmn3E8pPdlOtkXl3PXVA==
-----END PRIVATE KEY-----
`
)

// App is the app that these credentials are of.
func App() ConnectedApp {
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(PrivateKey))
	if err != nil {
		panic(err) // it is a constant
	}
	return ConnectedApp{ID: ClientID, Secret: ClientSecret, RunAs: Username, Key: &key.PublicKey, Users: []string{Username}}
}
